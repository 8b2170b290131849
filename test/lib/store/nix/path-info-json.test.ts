import { describe, expect, it } from 'vitest';
import { formatHash, hashBytes, renderHash, toBase64, toHex } from '#lib/nix/hash.js';
import { parsePathInfoJson } from '#lib/store/nix/path-info-json.js';
import { expectError, expectFormatError } from '../../../support/errors.js';

const HASH = '0123456789abcdfghijklmnpqrsvwxyz';
const baseName = (name: string): string => `${HASH.slice(name.length)}${HASH.slice(0, name.length)}-${name}`;
const full = (name: string): string => `/nix/store/${baseName(name)}`;

const NAR_HASH = hashBytes('sha256', 'nar');
const SRI = formatHash(NAR_HASH, 'sri');
const CA = `fixed:r:${renderHash(NAR_HASH)}`;

const parse = (json: unknown) => parsePathInfoJson(JSON.stringify(json), '/nix/store');

/** What every shape below tells of. */
const EXPECTED = {
  path: full('a'),
  narHash: NAR_HASH,
  narSize: 1234,
  references: [full('a'), full('b')].sort(),
  deriver: full('a.drv'),
  signatures: ['key-1:AAAA', 'key-2:BBBB'],
  ca: CA,
};

const FULL_PATHS = {
  ca: CA,
  deriver: full('a.drv'),
  narHash: SRI,
  narSize: 1234,
  references: [full('b'), full('a')],
  registrationTime: 1,
  signatures: EXPECTED.signatures,
  ultimate: true,
};
const BASE_NAMES = { ...FULL_PATHS, deriver: baseName('a.drv'), references: [baseName('b'), baseName('a')] };
const versioned = (info: object, version = 2) => ({ version, storeDir: '/nix/store', info: { [baseName('a')]: info } });

describe('what `nix path-info --json` prints', () => {
  it.each<[string, unknown]>([
    ['a list (2.8 to 2.18)', [{ path: full('a'), ...FULL_PATHS, narHash: renderHash(NAR_HASH), valid: true }]],
    ['an object by path (2.19 on)', { [full('a')]: FULL_PATHS }],
    ['a versioned object by base name (2.32 on)', versioned(BASE_NAMES)],
    [
      'structured content addresses and hashes',
      versioned({
        ...BASE_NAMES,
        ca: { method: 'nar', hash: { algorithm: 'sha256', format: 'base64', hash: toBase64(NAR_HASH.digest) } },
        narHash: { algorithm: 'sha256', format: 'base16', hash: toHex(NAR_HASH.digest) },
      }),
    ],
    [
      'structured hashes that are SRI inside',
      versioned({ ...BASE_NAMES, ca: { method: 'nar', hash: SRI }, narHash: { algorithm: 'sha256', hash: SRI } }),
    ],
    [
      'structured signatures',
      versioned(
        {
          ...BASE_NAMES,
          signatures: [
            { keyName: 'key-1', sig: 'AAAA' },
            { keyName: 'key-2', sig: 'BBBB' },
          ],
        },
        3,
      ),
    ],
  ])('is read as %s', (_, json) => {
    const [info, ...others] = parse(json);
    expect(others).toEqual([]);
    expect({ ...info!, narHash: renderHash(info!.narHash) }).toEqual({
      ...EXPECTED,
      narHash: renderHash(NAR_HASH),
    });
  });

  it.each([
    ['text', 'text:'],
    ['flat', 'fixed:'],
    ['nar', 'fixed:r:'],
    ['git', 'fixed:git:'],
  ])('has content addresses by %s', (method, prefix) => {
    const [info] = parse(versioned({ ...BASE_NAMES, ca: { method, hash: { algorithm: 'sha256', hash: SRI } } }));
    expect(info?.ca).toBe(prefix + renderHash(NAR_HASH));
  });

  it('leaves out what is null or empty', () => {
    for (const nothing of [null, undefined]) {
      const [info] = parse({
        [full('a')]: { narHash: SRI, narSize: 1, deriver: nothing, ca: nothing, signatures: nothing },
      });
      expect(info).toEqual({ path: full('a'), narHash: NAR_HASH, narSize: 1, references: [], signatures: [] });
    }
  });

  it.each<[string, unknown]>([
    [
      'a list with `valid: false`',
      [
        { path: full('b'), ...FULL_PATHS, valid: false },
        { path: full('a'), ...FULL_PATHS, valid: true },
      ],
    ],
    ['an object with null', { [full('b')]: null, [full('a')]: FULL_PATHS }],
    [
      'a versioned object with null',
      { ...versioned({}), info: { [baseName('b')]: null, [baseName('a')]: BASE_NAMES } },
    ],
  ])('leaves paths that are not valid out: %s', (_, json) => {
    expect(parse(json).map(({ path }) => path)).toEqual([full('a')]);
  });

  it.each<[string, unknown]>([
    ['an empty list', []],
    ['an empty object', {}],
    ['an empty versioned object', { version: 2, storeDir: '/nix/store', info: {} }],
  ])('of nothing is %s', (_, json) => {
    expect(parse(json)).toEqual([]);
  });

  it('takes base names for those of the store dir that was asked about', () => {
    const [info] = parsePathInfoJson(JSON.stringify(versioned(BASE_NAMES)), '/gnu/store');
    expect(info).toMatchObject({ path: `/gnu/store/${baseName('a')}`, deriver: `/gnu/store/${baseName('a.drv')}` });
  });
});

describe('what `nix path-info --json` prints is refused', () => {
  it.each([
    ['nothing', ''],
    ['text', 'error: not JSON'],
    ['JSON that is cut', '[{"path":'],
  ])('when it is %s', (_, text) => {
    const error = expectError('E_PROGRAM', 'did not print JSON', () => parsePathInfoJson(text, '/nix/store'));
    expect(error.cause).toBeInstanceOf(SyntaxError);
    expect(error.hint).toContain('nix --version');
  });

  it.each<[string, unknown]>([
    ['a number', 1],
    ['null', null],
    ['a list of paths', [full('a')]],
    ['an object of texts', { [full('a')]: 'x' }],
    ['a size that is text', [{ path: full('a'), ...FULL_PATHS, narSize: '1' }]],
    ['a size that no number holds', [{ path: full('a'), ...FULL_PATHS, narSize: 2 ** 60 }]],
    ['references that are no list', [{ path: full('a'), ...FULL_PATHS, references: full('b') }]],
    ['a hash that is a number', versioned({ ...BASE_NAMES, narHash: 1 })],
    ['a hash without an algorithm', versioned({ ...BASE_NAMES, narHash: { hash: SRI } })],
    ['a signature of another shape', versioned({ ...BASE_NAMES, signatures: [{ key: 'x' }] })],
    ['a content address of another shape', versioned({ ...BASE_NAMES, ca: { hash: SRI } })],
  ])('when it has %s', (_, json) => {
    const error = expectError('E_PROGRAM', 'a shape that carport does not know', () => parse(json));
    expect(error.hint).toContain('nix --version');
    expect((error.cause as Error).message).not.toBe('');
  });

  it.each<[string, unknown, string]>([
    ['a path outside the store', { '/etc/passwd': FULL_PATHS }, 'is not in `/nix/store`'],
    ['a base name that climbs', { ...versioned({}), info: { '../x': BASE_NAMES } }, 'is not a hash part'],
    ['a list without paths', [FULL_PATHS], 'is not a hash part'],
    ['a reference that is no path', { [full('a')]: { ...FULL_PATHS, references: ['x'] } }, 'is not a hash part'],
    ['a hash that is none', { [full('a')]: { ...FULL_PATHS, narHash: 'sha256-AAAA' } }, 'wrong length'],
    ['no size', { [full('a')]: { ...FULL_PATHS, narSize: undefined } }, 'the NAR size is not known'],
    ['a size of zero', { [full('a')]: { ...FULL_PATHS, narSize: 0 } }, 'the NAR size is not known'],
    [
      'an unknown method',
      versioned({ ...BASE_NAMES, ca: { method: 'hash', hash: SRI } }),
      'the method `hash` is not known',
    ],
  ])('when it has %s', (_, json, reason) => {
    expectFormatError(reason, () => parse(json));
  });
});
