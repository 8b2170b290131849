import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { CarportError } from '#lib/errors.js';
import { unifiedDiff } from '#release/steps/diff.js';
import { type Edit, readProjectText, writeAll } from '#release/steps/edit.js';
import { replaceKeyed } from '#release/steps/keyed.js';
import { findPlace, standingAt, versionOf } from '#release/steps/places.js';
import { nextVersion } from '#release/steps/version-parts.js';
import { useDirectory } from '../support/files.js';

const CODEC = { encodeText: (text: string) => text, decodeText: (text: string) => text };

const directory = useDirectory();

describe('the next version', () => {
  it.each([
    ['1.2.3', 'patch', '1.2.4'],
    ['1.2.3', 'minor', '1.3.0'],
    ['1.2.3', 'major', '2.0.0'],
    ['1.2.3', 'last', '1.2.4'],
    ['v1.9.9', 'minor', 'v1.10.0'],
    ['1.2.0-rc1', 'last', '1.2.0-rc2'],
    ['1.2.0-rc1', 'patch', '1.2.0'],
    ['1.2.0-rc1', 'minor', '1.2.0'],
    ['1.2.1-rc1', 'minor', '1.3.0'],
    ['2.0.0rc1', 'major', '2.0.0'],
    ['1.2.3+build.5', 'patch', '1.2.4'],
    ['1.2', 'patch', '1.2.1'],
    ['1.2.3.4', 'patch', '1.2.4.0'],
    ['1.2.3.4', 'last', '1.2.3.5'],
    ['20261109.09', 'last', '20261109.10'],
    ['99999999999999999999', 'major', '100000000000000000000'],
  ] as const)('of %s, %s, is %s', (version, part, next) => {
    expect(nextVersion(version, part)).toBe(next);
  });

  it('is not made up', () => {
    expect(() => nextVersion('nightly', 'patch')).toThrow('no part `patch`');
    expect(() => nextVersion('nightly', 'last')).toThrow('no part `last`');
  });
});

describe('a place', () => {
  const match = (template: string, text: string, count = 1) => {
    const place = { kind: 'match', file: 'f', template, count } as const;
    return findPlace(place, text, CODEC);
  };
  const versions = (template: string, text: string) => match(template, text).standing.map(({ version }) => version);

  it('is taken by the letter', () => {
    expect(versions('version = "{version}"', 'version = "0.1.0"\nversionx="0x1y0"')).toEqual(['0.1.0']);
    expect(versions('a.b={version}', 'a.b=1.0 axb=2.0')).toEqual(['1.0']);
    expect(versions('tool-{version}.tar.gz', 'get tool-1.2.0.tar.gz')).toEqual(['1.2.0']);
    expect(versions('{version}', 'tool 1.2.0, then 1.2.0-rc1. And v2')).toEqual(['1.2.0', '1.2.0-rc1', 'v2']);
    expect(versions('{version}', '1.2.0')).toEqual(['1.2.0']);
    expect(versions('v{version}', 'v1.2.0.')).toEqual(['1.2.0']);
    expect(versions('"{version}"', '"", "none", "1"')).toEqual(['1']);
    expect(versions('a\n{version}', 'a\r\n1.0\r\n')).toEqual(['1.0']);
  });

  it('has the version once, or as often as it should', () => {
    const found = match('v={version}', 'v=1.0 v=2.0 v=1.0');
    expect(() => standingAt(found, '1.0', '1.1')).toThrow('`v=1.0` 2 times, and not once');
    expect(standingAt(found, '2.0', '2.1')).toHaveLength(1);
    expect(() => standingAt(found, '3.0', '3.1')).toThrow('has the version 1.0, 2.0, and not 3.0');
    expect(standingAt(match('v={version}', 'v=1.0 v=1.0', 2), '1.0', '1.1')).toHaveLength(2);
    expect(() => standingAt(match('v={version}', 'v=1.0', 2), '1.0', '1.1')).toThrow('1 times, and not 2 times');
    expect(() => standingAt(match('w={version}', 'v=1.0'), '1.0', '1.1')).toThrow(
      'does not have the text `w={version}`',
    );
  });

  it('says which version it is, together with others', () => {
    const one = match('v={version}', 'v=1.0');
    const either = match('v={version}', 'v=1.0 v=3.8');
    expect(versionOf([either, one])).toBe('1.0');
    expect(() => versionOf([either])).toThrow('no place says');
    expect(() => versionOf([one, match('v={version}', 'v=1.1')])).toThrow(
      'not the same everywhere: `f` has 1.0, `f` has 1.1',
    );
    expect(versionOf([one, match('v={version}', 'v=1.1')], '1.1')).toBe('1.0');
  });

  it('is a key, of which nothing else changes', () => {
    const replace = (file: string, key: readonly string[], text: string) =>
      replaceKeyed({ file, keys: key }, text, CODEC, ['1.0', '1.1']);
    const json = '{"a": {"version": "1.0"},\r\n "version" : "1.0", "n": 1.0, "1.0": 2}';
    expect(replace('p.json', ['version'], json)).toBe(json.replace('"version" : "1.0"', '"version" : "1.1"'));
    const toml = '# 1.0\n[a]\nversion = "1.0"\n[project]\nversion = \'1.0\' # 1.0\n';
    expect(replace('p.toml', ['project', 'version'], toml)).toBe(toml.replace("'1.0'", "'1.1'"));
    const yaml = '# 1.0\nx: &v "1.0"\nappVersion: "1.0"\nversion: 1.0\n';
    expect(replace('Chart.yaml', ['appVersion'], yaml)).toBe(yaml.replace('appVersion: "1.0"', 'appVersion: "1.1"'));
    const lock = '{"version": "1.0", "packages": {"": {"version": "1.0"}}}';
    expect(replace('l.json', ['packages', '', 'version'], lock)).toBe(
      lock.replace('{"": {"version": "1.0"', '{"": {"version": "1.1"'),
    );
    expect(() => replace('p.json', ['version'], String.raw`{"version": "1\u002e0"}`)).toThrow('does not change');
    expect(() => findPlace({ kind: 'key', file: 'p.json', keys: ['v'] }, '{"v": 1}', CODEC)).toThrow('no text');
    expect(() => findPlace({ kind: 'key', file: 'p.json', keys: ['__proto__', 'x'] }, '{}', CODEC)).toThrow('no key');
    expect(() => findPlace({ kind: 'key', file: 'p.cfg', keys: ['v'] }, 'v=1', CODEC)).toThrow('TOML, JSON and YAML');
  });
});

it('one of thousands of places costs a few looks', () => {
  const packages = Array.from({ length: 1100 }, (_, index) => `[[package]]\nname = "p${index}"\nversion = "0.1.0"\n`);
  const replace = (text: string) =>
    replaceKeyed({ file: 'Cargo.lock', keys: ['package', '1090', 'version'] }, text, CODEC, ['0.1.0', '0.2.0']);
  const changed = packages.with(1090, packages[1090]!.replace('0.1.0', '0.2.0'));
  expect(replace(packages.join('\n'))).toBe(changed.join('\n'));
});

it('what cannot get back what it had keeps it', async () => {
  const edits: Edit[] = [];
  for (const name of ['a', 'b', 'c']) {
    await writeFile(join(directory(), name), 'old');
    const file = await readProjectText(directory(), name, '');
    edits.push({ file, text: 'new' });
  }
  const [a, b, c] = edits.map(({ file }) => file.path);
  let looks = 0;
  // Whoever puts directories in their places just before the last is written.
  const last = {
    get path() {
      if (looks++ > 0 && readFileSync(b!, 'utf8') === 'new') {
        for (const path of [a!, c!]) {
          rmSync(path, { recursive: true });
          mkdirSync(path);
        }
      }
      return c!;
    },
  };
  const hostile = { text: 'new', file: Object.create(edits[2]!.file, Object.getOwnPropertyDescriptors(last)) as never };
  const error = await writeAll(directory(), [edits[0]!, edits[1]!, hostile]).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ code: 'E_IO', message: expect.stringContaining('`a`') });
  expect(readFileSync(b!, 'utf8')).toBe('old');
  const [kept, ...more] = readdirSync(directory()).filter((name) => name.startsWith('.'));
  expect(more).toEqual([]);
  expect((error as CarportError).hint).toContain(kept);
  expect(readFileSync(join(directory(), kept!), 'utf8')).toBe('old');
});

it('a difference is one that patch takes', () => {
  const lines = (...changed: readonly number[]) =>
    Array.from({ length: 30 }, (_, line) => (changed.includes(line) ? 'new' : `line ${line}`)).join('\n');
  expect(unifiedDiff('f', lines(), lines())).toBe('');
  expect(unifiedDiff('f', lines(), lines(4, 5, 12, 29))).toMatchInlineSnapshot(`
    "--- a/f
    +++ b/f
    @@ -2,8 +2,8 @@
     line 1
     line 2
     line 3
    -line 4
    -line 5
    +new
    +new
     line 6
     line 7
     line 8
    @@ -10,7 +10,7 @@
     line 9
     line 10
     line 11
    -line 12
    +new
     line 13
     line 14
     line 15
    @@ -27,4 +27,4 @@
     line 26
     line 27
     line 28
    -line 29
    \\ No newline at end of file
    +new
    \\ No newline at end of file
    "
  `);
});
