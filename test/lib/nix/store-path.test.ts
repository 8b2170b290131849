import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashBytes } from '#lib/nix/hash.js';
import {
  baseNameOf,
  hashPartOf,
  isHashPart,
  isStorePath,
  isStorePathName,
  makeOutputPath,
  makeStorePath,
  nameOf,
  outputName,
  parseStorePath,
  storeDirOf,
  storePathOf,
} from '#lib/nix/store-path.js';
import * as arbitrary from '../../support/arbitraries.js';
import { expectError, expectFormatError } from '../../support/errors.js';

const STORE = '/nix/store';
const HASH = '0123456789abcdfghijklmnpqrsvwxyz';

describe('a store path', () => {
  it('comes apart into store dir, hash part and name', () => {
    const storeDirs = fc.constantFrom(STORE, '/s', '/home/a b/store', '/nix/store/nested');
    fc.assert(
      fc.property(storeDirs, arbitrary.hashPart(), arbitrary.storePathName(), (storeDir, hash, name) => {
        const path = storePathOf(`${hash}-${name}`, storeDir);
        expect(path).toBe(`${storeDir}/${hash}-${name}`);
        expect(parseStorePath(path, storeDir)).toBe(path);
        expect([storeDirOf(path), hashPartOf(path), nameOf(path)]).toEqual([storeDir, hash, name]);
        expect(baseNameOf(path)).toBe(`${hash}-${name}`);
      }),
    );
  });

  it('is made of anything that names it: type, hash, name and store dir', () => {
    const hash = hashBytes('sha256', 'x');
    const paths = [
      makeStorePath('source', hash, 'name', STORE),
      makeStorePath('text', hash, 'name', STORE),
      makeStorePath('source', hashBytes('sha256', 'y'), 'name', STORE),
      makeStorePath('source', { ...hash, algorithm: 'sha512' }, 'name', STORE),
      makeStorePath('source', hash, 'other', STORE),
      makeStorePath('source', hash, 'name', '/other'),
    ];
    expect(new Set(paths.map(hashPartOf)).size).toBe(paths.length);
    for (const path of paths) expect(isStorePath(path, storeDirOf(path))).toBe(true);
  });

  it('of an output carries its name, unless that is `out`', () => {
    const hash = hashBytes('sha256', 'x');
    expect(outputName('hello', 'out')).toBe('hello');
    expect(outputName('hello', 'dev')).toBe('hello-dev');
    expect(makeOutputPath('dev', hash, 'hello', STORE)).toBe(makeStorePath('output:dev', hash, 'hello-dev', STORE));
  });

  it.each([
    ['outside the store dir', `/nix/stores/${HASH}-a`, 'is not in `/nix/store`'],
    ['relative', `nix/store/${HASH}-a`, 'is not in'],
    ['a bare base name', `${HASH}-a`, 'is not in'],
    ['below a store path', `${STORE}/${HASH}-a/bin`, 'is not a hash part'],
    ['above the store dir', `${STORE}/../${HASH}-a`, 'is not a hash part'],
    ['with two slashes', `${STORE}//${HASH}-a`, 'is not a hash part'],
    ['with a trailing slash', `${STORE}/${HASH}-a/`, 'is not a hash part'],
    ['with a trailing newline', `${STORE}/${HASH}-a\n`, 'is not a hash part'],
    ['with a NUL', `${STORE}/${HASH}-a\0`, 'is not a hash part'],
    ['with a short hash part', `${STORE}/${HASH.slice(1)}-a`, 'is not a hash part'],
    ['with a long hash part', `${STORE}/0${HASH}-a`, 'is not a hash part'],
    ['with a foreign character in the hash part', `${STORE}/e${HASH.slice(1)}-a`, 'is not a hash part'],
    ['with a hash part in capitals', `${STORE}/${HASH.toUpperCase()}-a`, 'is not a hash part'],
    ['without a dash', `${STORE}/${HASH}a`, 'is not a hash part'],
    ['without a name', `${STORE}/${HASH}-`, 'is not a hash part'],
    ['with a name not of ASCII', `${STORE}/${HASH}-é`, 'is not a hash part'],
    ['with a name of 212 characters', `${STORE}/${HASH}-${'a'.repeat(212)}`, 'is not a hash part'],
    ['that is the store dir', STORE, 'is not in'],
    ['that is empty', '', 'is not in'],
  ])('is refused: %s', (_, path, reason) => {
    expectFormatError(reason, () => parseStorePath(path, STORE));
    expect(isStorePath(path, STORE)).toBe(false);
  });
});

describe('a name in a store path', () => {
  it.each(['a', '.a', '..a', '...', 'A-1.0+b_c?d=e', '-', '.a-', 'a'.repeat(211)])('may be `%s`', (name) => {
    expect(isStorePathName(name)).toBe(true);
  });

  it.each(['', '.', '..', '.-', '..-', '.-a', '..-a', 'a b', 'a/b', 'a\n', 'é', 'a~', 'a'.repeat(212)])(
    'may not be `%s`',
    (name) => {
      expect(isStorePathName(name)).toBe(false);
      expectError('E_USAGE', 'cannot be the name', () => makeStorePath('text', hashBytes('sha256', ''), name, STORE));
    },
  );
});

describe('a hash part', () => {
  it('is 32 characters of nix32, and nothing around them', () => {
    expect(isHashPart(HASH)).toBe(true);
    for (const text of [`${HASH}\n`, ` ${HASH}`, `${HASH}0`, HASH.slice(1), HASH.replace('0', 'u'), '']) {
      expect(isHashPart(text)).toBe(false);
    }
  });
});
