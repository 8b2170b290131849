import { expect, it } from 'vitest';
import { createRepository, gitEnv } from '../../support/git.js';
import { useSandbox } from '../../support/sandbox.js';

const FORGE = ['--forge', 'https://github.com/acme/tool'];

const box = useSandbox();

it('release notes are the section of the changelog, else the commits since the release before', async () => {
  const repository = await createRepository(box(), box().path('tool'));
  const { git, commit, directory } = repository;
  const run = (args: readonly string[], cwd = directory) =>
    box().carport(['release', 'notes', ...args], { cwd, env: gitEnv(box()) });
  const text = async (...args: readonly string[]) => {
    const ran = await run(args);
    expect(ran.exitCode, ran.stderr).toBe(0);
    return ran.stdout;
  };

  expect(await run([])).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('no commit') });
  const first = await commit('first');
  expect(await text('v1.0.0')).toBe(`* first (${first.slice(0, 9)})\n`);
  await git('tag', 'v1.0.0');
  await git('tag', 'lib/v7.0.0');
  const fix = await commit('fix #12, see a#13 and <b>[x](http://evil)</b>');
  await git('tag', 'v1.9.0-rc1');
  const heading = await commit('# no heading\n\nbody');
  await git('checkout', '--quiet', '-b', 'side', 'HEAD~1');
  const side = await commit('1. of a branch !4');
  await git('checkout', '--quiet', 'main');
  await git('merge', '--quiet', '--no-ff', '--message=a merge', 'side');
  await git('tag', '--annotate', '--message=x', 'v1.10.0');
  const link = (id: string) => `[${id.slice(0, 9)}](https://github.com/acme/tool/commit/${id})`;
  const lines = [
    `* 1\\. of a branch !4 (${link(side)})`,
    `* \\# no heading (${link(heading)})`,
    `* fix [#12](https://github.com/acme/tool/issues/12), see a#13 and \\<b>\\[x\\](http://evil)\\</b> (${link(fix)})`,
  ];
  const stable = await text('v1.10.0', ...FORGE);
  expect(stable.split('\n').slice(0, -1).sort()).toEqual(lines.sort());
  expect(await text('v1.10.0', ...FORGE)).toBe(stable);
  expect(await text('1.10.0', ...FORGE)).toBe(stable);
  // The next stable one begins behind the last stable one, whatever is between, and by numbers.
  await commit('more');
  expect((await text('v1.11.0')).split('\n')[0]).toMatch(/^\* more \([0-9a-f]{9}\)$/);
  expect((await text('v1.9.1')).split('\n')).toHaveLength(5);
  expect(JSON.parse(await text('v1.11.0-rc1', '--json'))).toMatchObject({
    ...{ version: 1, release: 'v1.11.0-rc1', from: 'commits', since: 'v1.10.0', commits: 1 },
  });
  expect(JSON.parse(await text('--since', 'v1.9.0-rc1', '--json'))).toMatchObject({ since: 'v1.9.0-rc1', commits: 3 });
  expect(JSON.parse(await text('lib/v8.0.0', '--json'))).toMatchObject({ since: 'lib/v7.0.0' });
  expect(await run(['--since', 'v3'])).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('no tag `v3`') });
  expect(await run(['--since', '--output=x'])).toMatchObject({ exitCode: 5 });

  // A changelog comes first, from below, too, where it says something of the version.
  await repository.write('CHANGELOG.md', '# Changes\n\n## 1.11.0\n\n* by hand\n\n## 1.10.0\n\n* old\n');
  await repository.write('deep/file', '');
  expect((await run(['v1.11.0'], `${directory}/deep`)).stdout).toBe('* by hand\n');
  expect(await text('v1.11.0', '--commits')).toContain('* more');
  expect(await text('v1.12.0')).toContain('* more');
  expect(await run(['v1.12.0', '--notes-file', 'CHANGELOG.md'])).toMatchObject({ exitCode: 5 });
  expect(await run(['v1.12.0', '--notes-file', 'CHANGELOG.md', '--commits'])).toMatchObject({ exitCode: 2 });

  await git('clone', '--quiet', '--depth=1', `file://${directory}`, box().path('shallow'));
  expect(await run(['v2.0.0', '--commits'], box().path('shallow'))).toMatchObject({
    ...{ exitCode: 1, stderr: expect.stringContaining('--unshallow') },
  });
  expect((await run(['v2.0.0'], box().path())).stderr).toContain('not a git repository');
  const without = await box().carport(['release', 'notes', '--commits'], { cwd: directory });
  expect(without.stderr).toContain('git is not installed');
});
