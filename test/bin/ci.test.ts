import { writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { useSandbox } from '../support/sandbox.js';

const COMMIT = '7fd1a60b01f91b314f59955a4e4d4e80d8edf11d';

describe('carport ci env', () => {
  const box = useSandbox();
  const env = { CI: 'woodpecker', CI_COMMIT_TAG: 'v1.2.3', CI_COMMIT_SHA: COMMIT, CI_PIPELINE_EVENT: 'tag' };

  it('prints what was found, and the variable that it is from', async () => {
    const { stdout, stderr } = await box().succeed(['ci', 'env'], {
      env: { ...env, TARGET: 'i686-unknown-linux-musl' },
    });
    expect(stdout.split('\n')).toEqual([
      'system: Woodpecker  (CI)',
      'version: v1.2.3  (CI_COMMIT_TAG)',
      'channel: stable  (CI_COMMIT_TAG)',
      'tag: v1.2.3  (CI_COMMIT_TAG)',
      `commit: ${COMMIT}  (CI_COMMIT_SHA)`,
      'event: tag  (CI_PIPELINE_EVENT)',
      'run: -',
      'target: i686-unknown-linux-musl  (TARGET)',
      '',
    ]);
    expect(stderr).toBe('');
  });

  it('prints JSON', async () => {
    const { stdout } = await box().succeed(['ci', 'env', '--json'], { env });
    expect(JSON.parse(stdout)).toEqual({
      version: 1,
      build: {
        ...{ system: 'woodpecker', version: 'v1.2.3', channel: 'stable', tag: 'v1.2.3', commit: COMMIT, event: 'tag' },
        ...{ runUrl: null, target: null, warnings: [] },
        origins: {
          ...{ system: 'CI', version: 'CI_COMMIT_TAG', channel: 'CI_COMMIT_TAG', tag: 'CI_COMMIT_TAG' },
          ...{ commit: 'CI_COMMIT_SHA', event: 'CI_PIPELINE_EVENT' },
        },
      },
      stablePattern: null,
    });
  });

  it('publishes the tag of a component under a name without a slash, and says so', async () => {
    const { lines } = await box().succeed(['ci', 'env'], { env: { ...env, CI_COMMIT_TAG: 'cli/v1.2.3' } });
    expect(lines).toEqual(
      expect.arrayContaining([
        ...['version: cli@v1.2.3  (CI_COMMIT_TAG)', 'channel: stable  (CI_COMMIT_TAG)'],
        ...['component: cli  (CI_COMMIT_TAG)', 'tag: cli/v1.2.3  (CI_COMMIT_TAG)'],
      ]),
    );
  });

  it('ends with 5 where there is neither a tag nor a commit, and prints the rest all the same', async () => {
    const [text, json] = await Promise.all(
      [[], ['--json']].map((more) => box().carport(['ci', 'env', ...more], { env: { DRONE: 'true', TARGET: 'x' } })),
    );
    expect(text).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('error[E_NOT_FOUND]: Drone') });
    expect(text!.lines).toContain('target: x  (TARGET)');
    expect(text!.lines).toContain('version: -');
    expect(json!.exitCode).toBe(5);
    expect(JSON.parse(json!.stdout).build).toMatchObject({ system: 'drone', version: null, target: 'x' });
    expect(JSON.parse(json!.stderr)).toMatchObject({ code: 'E_NOT_FOUND', hint: expect.stringContaining('DRONE_TAG') });
  });

  it('refuses what is no version', async () => {
    const refused = await box().carport(['ci', 'env'], { env: { ...env, CI_COMMIT_TAG: 'refs/heads/main' } });
    expect(refused).toMatchObject({ exitCode: 2, stdout: '' });
    expect(refused.stderr).toContain('CI_COMMIT_TAG is no version');
    expect(refused.stderr).toContain('unset CI_COMMIT_TAG');
  });

  it('takes a tag or a commit from the command line first', async () => {
    const run = async (...args: string[]) => (await box().succeed(['ci', 'env', ...args], { env })).lines;
    expect(await run('--tag', 'v2.0.0')).toContain('version: v2.0.0  (--tag)');
    expect(await run('--commit', COMMIT)).toContain(`version: ${COMMIT}  (--commit)`);
  });

  it('takes the pattern of stable tags from the option, the environment or the project', async () => {
    await writeFile(box().path('work/carport.toml'), "stable-pattern = 'release-\\d+'\n");
    const channel = async (tag: string, more = {}, ...args: string[]) => {
      const { lines } = await box().succeed(['ci', 'env', '--tag', tag, ...args], { env: more });
      return lines.find((line) => line.startsWith('channel'));
    };
    expect(await channel('release-7')).toBe(`channel: stable  (--tag, ${box().path('work/carport.toml')})`);
    expect(await channel('v1.2.3')).toMatch(/^channel: extra /);
    expect(await channel('x7', { CARPORT_STABLE_PATTERN: 'x.' })).toBe(
      'channel: stable  (--tag, CARPORT_STABLE_PATTERN)',
    );
    expect(await channel('y7', { CARPORT_STABLE_PATTERN: 'x.' }, '--stable-pattern', 'y.')).toBe(
      'channel: stable  (--tag, --stable-pattern)',
    );
    const refused = await box().carport(['ci', 'env', '--stable-pattern', '('], { env });
    expect(refused).toMatchObject({ exitCode: 2, stdout: '' });
    expect(refused.stderr).toContain('the pattern `(` (--stable-pattern) is no regular expression');
  });

  it('lets no variable drive the terminal, or add a line', async () => {
    const { stdout, lines } = await box().succeed(['ci', 'env'], {
      env: { ...env, TARGET: 'x\nversion: v9.9.9\x1b[31m', CI_PIPELINE_EVENT: 'a\rb' },
    });
    expect(lines).toHaveLength(8);
    expect(stdout).toMatch(/^[\x20-\x7e\n]*$/);
  });

  it('warns on stderr', async () => {
    const { stdout, stderr } = await box().succeed(['ci', 'env', '--quiet'], {
      env: { ...env, GITHUB_ACTIONS: 'true' },
    });
    expect(stderr).toBe(
      'warning: this is Woodpecker (CI) and GitHub Actions (GITHUB_ACTIONS) at once: taken for Woodpecker\n',
    );
    expect(stdout).toContain('system: Woodpecker');
  });
});
