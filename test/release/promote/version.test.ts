import { describe, expect, it } from 'vitest';
import { promotedVersion } from '#release/promote/version.js';
import { type Channel, channelRule } from '#release/version.js';
import { expectError } from '../../support/errors.js';

const COMMIT = '7fd1a60b01f91b314f59955a4e4d4e80d8edf11d';

describe('the version of a release that is promoted', () => {
  const promoted = (version: string, channel: Channel, as?: string, pattern?: string) =>
    promotedVersion({ version, channel, ...(as !== undefined && { as }) }, channelRule(pattern));
  const refused = (reason: string, ...args: Parameters<typeof promoted>) =>
    expectError('E_USAGE', reason, () => promoted(...args));

  it('is that without what makes it a prerelease', () => {
    expect(promoted('v1.2.0-rc3', 'stable')).toBe('v1.2.0');
    expect(promoted('v1.2.0-rc.3.x', 'stable')).toBe('v1.2.0');
    expect(promoted('v10.20.30-0', 'stable')).toBe('v10.20.30');
    expect(promoted('v1.2.0.4-beta', 'stable', undefined, 'v[0-9.]+')).toBe('v1.2.0.4');
    expect(promoted('1.2-alpha+linux', 'extra')).toBe('1.2+linux');
  });

  it('is the one that was given', () => {
    expect(promoted(COMMIT, 'stable', 'v1.2.3')).toBe('v1.2.3');
    expect(promoted('v1.2.0-rc3', 'stable', 'v1.3.0')).toBe('v1.3.0');
    expect(promoted('v1.2.0', 'extra', 'v1.2.0-lts')).toBe('v1.2.0-lts');
  });

  it('must be given where it is not clear', () => {
    refused('it is not said what', COMMIT, 'stable');
    refused('it is not said what', 'v1.2', 'stable');
    refused('it is not said what', 'v1.2-rc1', 'stable');
    refused('it is not said what', 'v1.2.0-rc1+build5', 'stable');
    refused('is stable already', 'v1.2.0', 'stable');
    refused('is extra already', 'v1.2.0-rc1', 'extra');
    expect(refused('it is not said what', COMMIT, 'stable').hint).toContain('--as v1.2.3');
  });

  it('must belong to the channel', () => {
    refused('`v1.2` would be extra, not stable', COMMIT, 'stable', 'v1.2');
    refused('`v1.2.0` would be stable, not extra', COMMIT, 'extra', 'v1.2.0');
    refused('would be development, not stable', 'v1.2.0-rc1', 'stable', COMMIT);
    refused('`v1.2.3` would be extra', COMMIT, 'stable', 'v1.2.3', 'release-[0-9]+');
  });

  it('must be another, and a name that is safe', () => {
    refused('cannot be made of itself', 'v1.2.0', 'stable', 'v1.2.0');
    for (const name of ['', 'a/b', '../x', '-x', 'refs/tags/v1.2.3', 'v 1', '<script>', 'v1\n', 'ü']) {
      refused('`--as` cannot be that of a release', COMMIT, 'stable', name);
      refused('the version cannot be that of a release', name, 'stable', 'v1.2.3');
    }
  });
});
