import { describe, expect, it, vi } from 'vitest';
import { CarportError } from '#lib/errors.js';
import { channelRule, checkCommit, checkTag } from '#release/version.js';

const COMMIT = '7fd1a60b01f91b314f59955a4e4d4e80d8edf11d';
const SHA256_COMMIT = COMMIT + COMMIT.slice(16);

describe('the channel of a version', () => {
  const channelOf = channelRule();

  it.each(['v0.0.0', 'v1.2.3', 'v0.10.0', 'v10.20.30'])('%s is stable', (tag) => {
    expect(channelOf(tag)).toBe('stable');
  });

  // What Garage's own pattern takes for stable, or what nearly is.
  it.each([
    ...['v0.7.2_2', 'v0.8.0-1', 'v0.7.2+1', 'v10203', 'v0-8_4', 'v0.3.0.1', 'v1.2', '1.2.3', 'xv1.2.3', 'v1.2.3x'],
    ...['v1.2.3\n', '\nv1.2.3', 'v1.2.3-rc1', 'V1.2.3', 'v١.٢.٣', 'handcrafted-1.0.0', 'format_table-v0.1.0', ''],
    ...[COMMIT.slice(1), `${COMMIT}0`, COMMIT.toUpperCase(), `${SHA256_COMMIT}0`, SHA256_COMMIT.toUpperCase()],
  ])('%j is extra', (tag) => {
    expect(channelOf(tag)).toBe('extra');
  });

  it.each([COMMIT, SHA256_COMMIT])('of %s is development, also with a pattern that takes all', (commit) => {
    expect(channelOf(commit)).toBe('development');
    expect(channelRule('.*')(commit)).toBe('development');
  });

  it('goes by a pattern for the whole tag', () => {
    const own = channelRule('release-[0-9]+|v[0-9]+');
    expect(['release-1', 'v2', 'xrelease-1', 'release-1x', 'v2x', 'v', 'v1.2.3'].map(own)).toEqual([
      ...['stable', 'stable', 'extra', 'extra', 'extra', 'extra', 'extra'],
    ]);
  });

  it.each(['(', 'a)|(b', '[z-a]', '\\', '*', '', 'x'.repeat(1001)])(
    'is not told by a pattern such as %j',
    (pattern) => {
      expect(() => channelRule(pattern, 'CARPORT_STABLE_PATTERN')).toThrow(CarportError);
      expect(() => channelRule(pattern, 'CARPORT_STABLE_PATTERN')).toThrow('(CARPORT_STABLE_PATTERN)');
    },
  );

  it('is not waited for long', () => {
    const [rule, start] = [channelRule('(a+)+', 'here'), performance.now()];
    expect(() => rule(`${'a'.repeat(60)}b`)).toThrow(/`\(a\+\)\+` \(here\) takes too long/);
    expect(performance.now() - start).toBeLessThan(30_000);
    expect(rule('aaa')).toBe('stable');
  });

  it('has its time of the processor, whatever a clock says: a machine may be busy', () => {
    const used = vi.spyOn(process, 'cpuUsage').mockReturnValue({ user: 1000, system: 1000 });
    const rule = channelRule('(a+)+', 'here');
    used.mockImplementationOnce(() => ({ user: 0, system: 0 }));
    used.mockImplementationOnce(() => ({ user: 300_000, system: 100_000 }));
    used.mockImplementationOnce(() => ({ user: 300_000, system: 200_000 }));
    expect(() => rule(`${'a'.repeat(60)}b`)).toThrow('takes too long');
    expect(used).toHaveBeenCalledTimes(3);
    used.mockRestore();
  });

  it('is told of many tags soon', () => {
    const [rule, start] = [channelRule('v[0-9]+'), process.cpuUsage()];
    for (let number = 0; number < 2000; number++) expect(rule(`v${number}`)).toBe('stable');
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 1000).toBeLessThan(5000);
  });
});

describe('a tag', () => {
  it.each(['v1.2.3', 'v0.7.2+ci-test-version', 'v0.7.2_ci-test-2', '0.4-alpha', 'tool@1.0.0', 'a', 'x'.repeat(128)])(
    'may be %s',
    (tag) => {
      expect(() => checkTag(tag, 'DRONE_TAG')).not.toThrow();
    },
  );

  it.each<[string, string]>([
    ['', 'is empty'],
    ['refs/tags/v1', 'is a ref'],
    ['a//b', 'has a `/`'],
    ['/a', 'has a `/`'],
    ['a/', 'has a `/`'],
    ['../../etc', 'has a `/`'],
    ['a b', 'white space'],
    ['a\n', 'white space'],
    ['.', 'begins with `.`'],
    ['..', 'begins with `.`'],
    ['-rf', 'begins with `-`'],
    ['_releases', 'begins with `_`'],
    ['x'.repeat(129), '129 characters'],
    ...['a\0', 'a\x1b[31m', '<script>', '$(id)', 'a;b', 'a?b', 'a#b', 'a%2fb', 'a\\b', 'v1\u202e', 'é', '~a', '"'].map(
      (tag): [string, string] => [tag, 'has characters'],
    ),
  ])('may not be %j', (tag, why) => {
    expect(() => checkTag(tag, 'DRONE_TAG')).toThrow(/^DRONE_TAG is no version: /);
    expect(() => checkTag(tag, 'DRONE_TAG')).toThrow(why);
  });

  it('that is very long is not printed whole', () => {
    expect(() => checkTag('y'.repeat(100_000), 'DRONE_TAG')).toThrow(/^.{0,200}$/);
  });
});

describe('a commit', () => {
  it('is 40 digits, or 64', () => {
    expect(() => checkCommit(COMMIT, 'X')).not.toThrow();
    expect(() => checkCommit(SHA256_COMMIT, 'X')).not.toThrow();
    for (const wrong of [
      '',
      COMMIT.slice(1),
      `${COMMIT}0`,
      SHA256_COMMIT.slice(1),
      `${SHA256_COMMIT}0`,
      `${COMMIT}\n`,
      COMMIT.toUpperCase(),
      'g'.repeat(40),
    ]) {
      expect(() => checkCommit(wrong, 'X')).toThrow('X is no whole commit');
    }
  });
});
