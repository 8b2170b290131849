import { describe, expect, it } from 'vitest';
import {
  comparePythonVersions,
  isFinalVersion,
  isSameReleaseNumber,
  parsePythonVersion,
  renderPythonVersion,
  tryPythonVersion,
} from '#lib/python/version.js';

const normal = (text: string) => renderPythonVersion(parsePythonVersion(text));

/** In their order, as PEP 440 has it, with what `packaging` says of the ends. */
const ORDER = [
  ...['1.dev0', '1.0.dev456', '1.0a1', '1.0a2.dev456', '1.0a12.dev456', '1.0a12', '1.0b1.dev456', '1.0b2'],
  ...['1.0b2.post345.dev456', '1.0b2.post345', '1.0rc1.dev456', '1.0rc1', '1.0', '1.0+abc.5', '1.0+abc.7', '1.0+5'],
  ...['1.0.post456.dev34', '1.0.post456', '1.0.15', '1.1.dev1', '1.10', '20261101.123456789012345678901', '1!0.1'],
];

describe('versions of Python packages', () => {
  it.each([
    ['v1.0', '1.0'],
    [' 1.0 ', '1.0'],
    ['1.0RC1', '1.0rc1'],
    ['1.0-alpha.2', '1.0a2'],
    ['1.0.c3', '1.0rc3'],
    ['1.0_preview', '1.0rc0'],
    ['1.0-1', '1.0.post1'],
    ['1.0-r4', '1.0.post4'],
    ['1.0.rev', '1.0.post0'],
    ['1.0DEV', '1.0.dev0'],
    ['01.02.00', '1.2.0'],
    ['1.0+Ubuntu-1_2', '1.0+ubuntu.1.2'],
    ['0!1', '1'],
    ['1!1.0rc1.post2.dev3+a.1', '1!1.0rc1.post2.dev3+a.1'],
    ['3.1.0rc20261101', '3.1.0rc20261101'],
    ['0.20.dev123+g7fd1a60', '0.20.dev123+g7fd1a60'],
  ])('%s is %s', (text, expected) => {
    expect(normal(text)).toBe(expected);
    expect(normal(expected)).toBe(expected);
  });

  it.each(['', 'x', '1.0.x', '1..0', '1.0+', '1.0+a..b', '1.0 rc1', '1.0-beta-x', '1.0\n2', '1'.repeat(201)])(
    '%j is none',
    (text) => {
      expect(tryPythonVersion(text)).toBeUndefined();
      expect(() => parsePythonVersion(text)).toThrow('is not a version');
    },
  );

  it('are in order', () => {
    const versions = ORDER.map(parsePythonVersion);
    const shuffled = versions.toSorted((a, b) => (renderPythonVersion(a) < renderPythonVersion(b) ? -1 : 1));
    expect(shuffled.toSorted(comparePythonVersions).map(renderPythonVersion)).toEqual(ORDER);
    for (const [index, version] of versions.entries()) {
      expect(comparePythonVersions(version, version)).toBe(0);
      for (const later of versions.slice(index + 1)) expect(comparePythonVersions(later, version)).toBeGreaterThan(0);
    }
    expect(comparePythonVersions(parsePythonVersion('1.0.0'), parsePythonVersion('1'))).toBe(0);
  });

  it('are final, or of one release', () => {
    const final = (text: string) => isFinalVersion(parsePythonVersion(text));
    expect(['1.0', '1.0.post1', '1.0+cpu'].filter(final)).toEqual(['1.0', '1.0.post1', '1.0+cpu']);
    expect(['1.0rc1', '1.0.dev1', '1.0.post1.dev1'].filter(final)).toEqual([]);
    const same = (a: string, b: string) => isSameReleaseNumber(parsePythonVersion(a), parsePythonVersion(b));
    expect([same('1.0rc1', '1'), same('1.0', '1.0.0+cpu'), same('1.0', '1.0.1'), same('1!1.0', '1.0')]).toEqual([
      ...[true, true],
      ...[false, false],
    ]);
  });
});
