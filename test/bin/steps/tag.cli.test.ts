import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import { beforeEach, describe, expect, it } from 'vitest';
import { createRepository, gitEnv, type Repository } from '../../support/git.js';
import { useSandbox } from '../../support/sandbox.js';

describe('release tag and release branch', () => {
  const box = useSandbox();
  let repository: Repository;
  let remote: string;
  const run = (...args: readonly string[]) =>
    box().carport(['release', ...args], { cwd: repository.directory, env: gitEnv(box()) });
  const there = async (ref: string) => {
    const { stdout } = await execa('git', ['--git-dir', remote, 'rev-parse', '--verify', '-q', ref], { reject: false });
    return stdout;
  };
  const refused = async (code: number, why: string, ...args: readonly string[]) => {
    const ran = await run(...args);
    expect([ran.exitCode, ran.stdout, ran.stderr], args.join(' ')).toEqual([code, '', expect.stringContaining(why)]);
  };

  beforeEach(async () => {
    remote = box().path('remote.git');
    await execa('git', ['init', '--quiet', '--bare', remote]);
    repository = await createRepository(box(), box().path('tool'));
    await repository.git('remote', 'add', 'origin', remote);
    await repository.write('VERSION', '1.2.0\n');
    await repository.write('carport.toml', '[bump]\nfiles = ["VERSION"]\n');
  });

  it('make it once, push only it, and may be run again', async () => {
    await refused(5, 'has no commit', 'tag', 'v1.2.0');
    const commit = await repository.commit('first');
    await repository.git('tag', 'other');
    await repository.git('config', 'push.followTags', 'true');
    await repository.git('config', 'remote.origin.push', 'refs/heads/*:refs/heads/*');

    const planned = await run('tag', '--push', '--dry-run', '--json');
    expect(JSON.parse(planned.stdout)).toMatchObject({
      ...{ version: 1, tag: 'v1.2.0', commit, created: true, pushed: true, remote: 'origin', dryRun: true },
    });
    expect(await repository.git('tag', '--list')).toBe('other');
    expect(await run('tag', 'v1.2.0')).toMatchObject({ exitCode: 0, stdout: 'v1.2.0\n' });
    expect(await repository.git('cat-file', '-t', 'v1.2.0')).toBe('tag');
    expect(await there('refs/tags/v1.2.0')).toBe('');
    expect((await run('tag', 'v1.2.0', '--push')).stderr).toContain('pushed to `origin`');
    expect(await there('refs/tags/v1.2.0^{commit}')).toBe(commit);
    expect(await there('refs/heads/main')).toBe('');
    expect(await there('refs/tags/other')).toBe('');
    const again = JSON.parse((await run('tag', '1.2.0', '--push', '--json')).stdout) as object;
    expect(again).toMatchObject({ tag: '1.2.0', created: true });
    expect((await run('tag', 'v1.2.0', '--push')).stderr).toContain('is there already in `origin`');

    // A clone that lacks the tag gets the one that others have.
    const object = await there('refs/tags/v1.2.0');
    await repository.git('tag', '--delete', 'v1.2.0');
    expect(await run('tag', 'v1.2.0')).toMatchObject({ exitCode: 0 });
    expect(await repository.git('rev-parse', 'v1.2.0')).toBe(object);

    expect(await run('branch', '--push')).toMatchObject({ exitCode: 0, stdout: 'release-1.2.0\n' });
    expect(await there('refs/heads/release-1.2.0')).toBe(commit);
    expect(await repository.git('branch', '--show-current')).toBe('main');
    expect(await run('branch', '--push')).toMatchObject({ exitCode: 0 });
  });

  it('refuse what others would not get, or have got otherwise', async () => {
    const first = await repository.commit('first');
    await repository.write('new', '');
    await refused(2, '`new` not known to git', 'tag', 'v1.2.0');
    expect(await run('tag', 'v1.2.0', '--allow-untracked', '--dry-run')).toMatchObject({ exitCode: 0 });
    await rm(`${repository.directory}/new`);
    await repository.write('VERSION', '1.2.1\n');
    await refused(2, '`VERSION` changed', 'tag', 'v1.2.1', '--allow-untracked');
    await repository.write('VERSION', '1.2.0\n');
    await refused(2, 'the version of the tree is 1.2.0, and not 1.3.0', 'tag', 'v1.3.0');
    await refused(2, 'the version of the tree is 1.2.0', 'branch', '1.3.0');
    await refused(2, 'cannot be the name of a tag', 'tag', 'a~b@v1.2.0');
    await refused(2, 'no remote `elsewhere`', 'tag', 'v1.2.0', '--remote', 'elsewhere');
    await refused(2, 'no remote `--upload-pack=x`', 'tag', 'v1.2.0', '--remote=--upload-pack=x');

    await repository.git('tag', 'v1.2.0');
    await repository.git('push', '--quiet', 'origin', 'v1.2.0');
    const second = await repository.commit('second');
    await refused(1, `this clone has the tag \`v1.2.0\` at ${first}, and HEAD is ${second}`, 'tag', 'v1.2.0');
    await repository.git('tag', '--delete', 'v1.2.0');
    await refused(1, `the remote \`origin\` has the tag \`v1.2.0\` at ${first}`, 'tag', 'v1.2.0');
    expect(await repository.git('tag', '--list')).toBe('');

    await repository.write(
      'carport.toml',
      '[bump]\nfiles = ["VERSION"]\ntag = "tool-{version}"\nbranches = ["main", "release-*"]\n',
    );
    await repository.commit('third');
    expect(await run('tag', '--dry-run')).toMatchObject({ exitCode: 0, stdout: 'tool-1.2.0\n' });
    expect((await run('tag', 'tool-1.2.0', '--dry-run')).stdout).toBe('tool-1.2.0\n');
    expect((await run('tag', '1.2.0', '--dry-run')).stdout).toBe('tool-1.2.0\n');
    await repository.git('switch', '--quiet', '-c', 'feature');
    await refused(2, '`feature` is checked out, and releases are made of `main`', 'tag');
    await repository.git('switch', '--quiet', '--detach');
    await refused(2, 'no branch is checked out', 'tag');
    await repository.git('switch', '--quiet', '-c', 'release-1.2');
    expect(await run('tag', '--dry-run')).toMatchObject({ exitCode: 0 });
  });

  it('tell whose fault it is', async () => {
    await repository.commit('first');
    await writeFile(`${remote}/hooks/pre-receive`, '#!/bin/sh\necho "tags of shallow waters are closed" >&2\nexit 1\n');
    await chmod(`${remote}/hooks/pre-receive`, 0o755);
    await refused(1, 'waters are closed', 'tag', 'v1.2.0', '--push');
    await refused(1, 'when the remote takes it, run this again', 'tag', 'v1.2.0', '--push');
    await rm(`${remote}/hooks/pre-receive`);
    // What a hook prints is not taken for ours.
    await mkdir(`${repository.directory}/.git/hooks`, { recursive: true });
    await writeFile(
      `${repository.directory}/.git/hooks/pre-push`,
      '#!/bin/sh\necho "{\\"hook\\": true}"\nenv > .git/env\n',
      {
        mode: 0o755,
      },
    );
    const secrets = Object.fromEntries(
      ['TWINE_PASSWORD', 'UV_PUBLISH_TOKEN', 'COSIGN_PASSWORD', 'CARPORT_SECRET_KEY'].map((name) => [name, 'hidden1']),
    );
    const ran = await box().carport(['release', 'tag', 'v1.2.0', '--push', '--json'], {
      cwd: repository.directory,
      env: { ...gitEnv(box()), ...secrets },
    });
    expect(await readFile(`${repository.directory}/.git/env`, 'utf8')).not.toContain('hidden1');
    expect(JSON.parse(ran.stdout)).toMatchObject({ tag: 'v1.2.0', created: false, pushed: true });
    await repository.git('remote', 'set-url', 'origin', box().path('gone.git'));
    await refused(1, 'the remote `origin` cannot be asked', 'branch', '--push');
    const offline = await run('branch');
    expect(offline).toMatchObject({
      exitCode: 0,
      stderr: expect.stringContaining('it is not known whether the remote'),
    });
    await refused(1, 'git makes no tag', 'tag', 'lib/v1.2.0', '--sign');
    await refused(1, 'is there already, and is not signed', 'tag', 'v1.2.0', '--sign');
    await repository.git('remote', 'remove', 'origin');
    await refused(2, 'where to push to', 'branch', '--push');
    const none = await box().carport(['release', 'tag', 'v1'], { cwd: box().path('work'), env: gitEnv(box()) });
    expect([none.exitCode > 0, none.stderr]).toEqual([true, expect.stringContaining('git finds no checkout here')]);
  });
});
