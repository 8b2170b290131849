import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasCode } from '#lib/errors.js';
import { type BuildOptions, type Environment, readBuild, systemName } from '#release/ci/detect.js';
import { versionOfTag } from '#release/component.js';
import { channelRule } from '#release/version.js';
import { expectError } from '../../support/errors.js';
import { CASES, COMMIT } from './environments.js';

const read = (env: Environment, options?: BuildOptions) => readBuild(env, channelRule(), options);

const OTHER = 'f'.repeat(40);

describe('the environment of', () => {
  it.each(CASES.map((each) => [each.name, each] as const))('%s', (_, { name, env, origin, ...expected }) => {
    const build = read(env);
    expect(build).toMatchObject(expected);
    expect(build.origins.version).toBe(origin);
    expect(build.tag).toBe(expected.channel === 'development' ? undefined : expected.version);
    const isPullRequest = /pull_request|merge_request/.test(name);
    expect(build.warnings.length, build.warnings.join()).toBe(isPullRequest ? 1 : 0);
    // Each origin is a variable that has what was found, or that was made into it.
    for (const [field, variable] of Object.entries(build.origins))
      expect([field, env[variable]]).not.toContain(undefined);
  });

  it('is known for every system', () => {
    expect(new Set(CASES.map(({ system }) => system)).size).toBe(5);
  });
});

describe('by hand', () => {
  it('a tag alone is enough', () => {
    expect(read({ DRONE_TAG: 'handcrafted-1.0.0', TARGET: 'x86_64-unknown-linux-musl' })).toEqual({
      ...{ system: 'none', version: 'handcrafted-1.0.0', channel: 'extra', tag: 'handcrafted-1.0.0' },
      target: 'x86_64-unknown-linux-musl',
      origins: { version: 'DRONE_TAG', channel: 'DRONE_TAG', tag: 'DRONE_TAG', target: 'TARGET' },
      warnings: [],
    });
    expect(read({ CI_COMMIT_TAG: 'v2.0.0' })).toMatchObject({ version: 'v2.0.0', channel: 'stable' });
  });

  it.each(['DRONE_COMMIT', 'DRONE_COMMIT_SHA', 'CI_COMMIT_SHA'])('%s is a commit', (name) => {
    const build = read({ [name]: COMMIT, DRONE_TAG: '' });
    expect(build).toMatchObject({
      version: COMMIT,
      commit: COMMIT,
      channel: 'development',
      origins: { version: name },
    });
  });

  it.each([
    ['cli/v1.2.3', 'cli@v1.2.3', 'cli', 'stable'],
    ['tools/cli/v1.2.3', 'tools@cli@v1.2.3', 'tools@cli', 'stable'],
    ['cli/v1.2.3-rc1', 'cli@v1.2.3-rc1', 'cli', 'extra'],
    ['cli@v1.2.3', 'cli@v1.2.3', 'cli', 'stable'],
    ['@acme/cli@1.2.3', 'acme@cli@1.2.3', 'acme@cli', 'extra'],
  ])('%s is a version of a component', (tag, version, component, channel) => {
    const github = { GITHUB_ACTIONS: 'true', GITHUB_REF_TYPE: 'tag', GITHUB_REF_NAME: tag };
    const gitea = { GITEA_ACTIONS: 'true', GITHUB_REF: `refs/tags/${tag}` };
    for (const env of [github, gitea, { DRONE: 'true', DRONE_TAG: tag }, { GITLAB_CI: 'true', CI_COMMIT_TAG: tag }]) {
      expect(read(env)).toMatchObject({ tag, version, component, channel });
    }
    expect(read({}, { tag })).toMatchObject({ tag, version, component, channel });
  });

  it('a commit of a repository with SHA-256 is a commit, alone and beside a tag', () => {
    const commit = 'a1'.repeat(32);
    expect(read({ CI: 'woodpecker', CI_COMMIT_SHA: commit })).toMatchObject({
      ...{ version: commit, commit, channel: 'development', warnings: [] },
    });
    expect(read({ GITLAB_CI: 'true', CI_COMMIT_TAG: 'v1.0.0', CI_COMMIT_SHA: commit })).toMatchObject({
      ...{ version: 'v1.0.0', commit, channel: 'stable', warnings: [] },
    });
    expect(read({}, { commit })).toMatchObject({ version: commit, channel: 'development' });
  });

  it('nothing is no version, and no error here', () => {
    expect(read({ PATH: '/bin', TARGET: '' })).toEqual({ system: 'none', origins: {}, warnings: [] });
    expect(read({ GITHUB_ACTIONS: 'true' })).toEqual({
      ...{ system: 'github', origins: { system: 'GITHUB_ACTIONS' }, warnings: [] },
    });
  });
});

describe('options', () => {
  const env = { DRONE: 'true', DRONE_TAG: 'v1.0.0', DRONE_COMMIT: COMMIT };

  it('stand before the environment', () => {
    expect(read(env, { tag: 'v2.0.0' })).toMatchObject({
      ...{ version: 'v2.0.0', tag: 'v2.0.0', commit: COMMIT, channel: 'stable' },
      origins: { version: '--tag', commit: 'DRONE_COMMIT' },
    });
    const build = read(env, { commit: OTHER });
    expect(build).toMatchObject({
      version: OTHER,
      commit: OTHER,
      channel: 'development',
      origins: { version: '--commit' },
    });
    expect(build.tag).toBeUndefined();
    expect(read(env, { tag: 'v3.0.0', commit: OTHER })).toMatchObject({ version: 'v3.0.0', commit: OTHER });
  });

  it('stand also before what is wrong in the environment', () => {
    const wrong = { CI: 'woodpecker', CI_COMMIT_TAG: 'refs/heads/main', CI_COMMIT_SHA: COMMIT };
    expect(read(wrong, { tag: 'v2.0.0' }).version).toBe('v2.0.0');
    expect(read(wrong, { commit: COMMIT }).version).toBe(COMMIT);
  });

  it('that are wrong are errors, and never passed over', () => {
    expect(() => read(env, { tag: '' })).toThrow('--tag is no version: `` is empty');
    expect(() => read(env, { tag: 'v2', commit: 'abc' })).toThrow('--commit is no whole commit');
  });
});

describe('what is refused', () => {
  it.each<[string, Environment, string]>([
    ['a branch as a tag (Woodpecker 3.13)', { CI: 'woodpecker', CI_COMMIT_TAG: 'refs/heads/main' }, 'CI_COMMIT_TAG'],
    ['a ref of a tag', { DRONE: 'true', DRONE_TAG: 'refs/tags/v1.0.0', DRONE_COMMIT: COMMIT }, 'DRONE_TAG'],
    [
      'a tag that leads elsewhere',
      { GITHUB_ACTIONS: 'true', GITHUB_REF_TYPE: 'tag', GITHUB_REF_NAME: 'release/../1.0', GITHUB_SHA: COMMIT },
      'GITHUB_REF_NAME',
    ],
    ['a ref that names no tag', { CI: 'woodpecker', CI_COMMIT_REF: 'refs/tags/' }, 'CI_COMMIT_REF'],
    ['a tag of blanks', { DRONE_TAG: ' ' }, 'DRONE_TAG'],
    ['a short commit', { DRONE: 'true', DRONE_COMMIT: COMMIT.slice(0, 8) }, 'DRONE_COMMIT'],
  ])('%s, with the name of the variable and a hint', (_, env, variable) => {
    expect(expectError('E_USAGE', `${variable} is no `, () => read(env)).hint).toBeTruthy();
  });

  it('is never another error, whatever the environment has', () => {
    const names = [...new Set([...CASES.flatMap(({ env }) => Object.keys(env)), 'TARGET', 'DRONE_TAG'])];
    const values = [...new Set(CASES.flatMap(({ env }) => Object.values(env)))].filter((value) => value !== undefined);
    const value = fc.oneof(
      fc.constantFrom(...values),
      fc.string({ unit: 'binary' }),
      fc.constantFrom('', 'refs/tags/', 'a/b'),
    );
    const env = fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 12 });
    const option = fc.option(value, { nil: undefined });
    let [accepted, refused] = [0, 0];
    fc.assert(
      fc.property(env, fc.constantFrom({}, ...CASES.map((each) => each.env)), option, (some, base, tag) => {
        try {
          const build = read({ ...base, ...some }, tag === undefined ? {} : { tag });
          if (build.version !== undefined) expect(build.version).toMatch(/^[0-9A-Za-z][^\s/\\?#%&<>"'`$]{0,127}$/);
          expect(build.version).toBe(build.tag === undefined ? build.commit : versionOfTag(build.tag));
          expect(build.channel === undefined).toBe(build.version === undefined);
          if (build.commit !== undefined) expect(build.commit).toMatch(/^([0-9a-f]{40}|[0-9a-f]{64})$/);
          accepted++;
        } catch (error) {
          if (!hasCode(error, 'E_USAGE')) throw error;
          refused++;
        }
      }),
      { numRuns: 300 },
    );
    expect(Math.min(accepted, refused)).toBeGreaterThan(20);
  });
});

describe('what is passed over with a warning', () => {
  it('a second system', () => {
    const both = { GITLAB_CI: 'true', CI_COMMIT_TAG: 'v9.9.9', DRONE: 'true', DRONE_TAG: 'v1.0.0' };
    const build = read(both);
    expect(build).toMatchObject({ system: 'drone', version: 'v1.0.0' });
    expect(build.warnings).toEqual(['this is Drone (DRONE) and GitLab (GITLAB_CI) at once: taken for Drone']);
    expect(read({ ...both, GITHUB_ACTIONS: 'true', CI: 'woodpecker' })).toMatchObject({
      ...{ system: 'woodpecker', version: 'v9.9.9', warnings: { length: 3 } },
    });
  });

  it('a mark that is not on', () => {
    expect(read({ DRONE: 'false', GITLAB_CI: 'true', CI_COMMIT_SHA: COMMIT })).toMatchObject({
      ...{ system: 'gitlab', warnings: [] },
    });
  });

  it('a commit that is not whole, beside a tag', () => {
    const build = read({ DRONE_TAG: 'v1.0.0', DRONE_COMMIT: 'abc1234' });
    expect(build.version).toBe('v1.0.0');
    expect(build.commit).toBeUndefined();
    expect(build.warnings).toEqual([expect.stringContaining('DRONE_COMMIT is passed over')]);
  });

  it.each(['javascript:alert(1)', 'https://user:secret@ci.example.org/1', 'https://ci.example.org/\n1', 'no url'])(
    'an address that is none of a web page: %j',
    (DRONE_BUILD_LINK) => {
      const build = read({ DRONE: 'true', DRONE_TAG: 'v1.0.0', DRONE_BUILD_LINK });
      expect(build.runUrl).toBeUndefined();
      expect(build.warnings).toEqual([expect.stringContaining('DRONE_BUILD_LINK is passed over')]);
      expect(build.warnings.join()).not.toContain('secret');
    },
  );

  it('nothing, but a tag that looks like a commit is a development build', () => {
    const build = read({ DRONE_TAG: OTHER, DRONE_COMMIT: COMMIT });
    expect(build).toMatchObject({ version: OTHER, tag: OTHER, channel: 'development' });
    expect(build.warnings).toEqual([expect.stringContaining('looks like a commit')]);
  });
});

describe('systems', () => {
  it('have names for people', () => {
    expect(systemName('forgejo')).toBe('Forgejo or Gitea');
    expect(systemName('none')).toBe('none, by hand');
  });
});
