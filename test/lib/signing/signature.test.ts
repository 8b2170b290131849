import fc from 'fast-check';
import nacl from 'tweetnacl';
import { describe, expect, it } from 'vitest';
import { hashBytes, parseHash, renderHash } from '#lib/nix/hash.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { type PublicKey, parsePublicKey, renderPublicKey, secretKeyFromSeed } from '#lib/signing/key.js';
import { fingerprint, signatureKeyName, signPath, verifyPath } from '#lib/signing/signature.js';
import * as arbitrary from '../../support/arbitraries.js';
import { expectFormatError } from '../../support/errors.js';

const KEY = secretKeyFromSeed(
  'key-1',
  Uint8Array.from({ length: 32 }, (_, index) => index),
);
const OTHER = secretKeyFromSeed('key-2', new Uint8Array(32).fill(9));
/** Another key that calls itself by the first one's name. */
const IMPOSTOR = secretKeyFromSeed('key-1', new Uint8Array(32).fill(5));

const HASH = '0123456789abcdfghijklmnpqrsvwxyz';
const INFO: PathInfo = {
  path: `/nix/store/${HASH}-name`,
  narHash: hashBytes('sha256', 'nar'),
  narSize: 120,
  references: [`/nix/store/${HASH}-name`, `/nix/store/${'a'.repeat(32)}-other`],
  signatures: [],
};
const SIGNED: PathInfo = { ...INFO, signatures: [signPath(INFO, KEY)] };

const state = (info: PathInfo, ...keys: PublicKey[]) => verifyPath(info, keys).state;

describe('the fingerprint', () => {
  it('is version, path, hash, size and references, in full and sorted', () => {
    expect(fingerprint(INFO)).toBe(
      `1;/nix/store/${HASH}-name;${renderHash(INFO.narHash)};120;` +
        `/nix/store/${HASH}-name,/nix/store/${'a'.repeat(32)}-other`,
    );
    expect(fingerprint({ ...INFO, references: [] })).toMatch(/;120;$/);
  });

  it('does not depend on the order of the references', () => {
    expect(fingerprint({ ...INFO, references: [...INFO.references].reverse() })).toBe(fingerprint(INFO));
  });

  it('comes apart into what was signed, so that no two infos share one', () => {
    fc.assert(
      fc.property(arbitrary.pathInfo(), (info) => {
        const [version, path, narHash, narSize, references, ...rest] = fingerprint(info).split(';');
        expect([version, path, narHash, Number(narSize)]).toEqual([
          '1',
          info.path,
          renderHash(info.narHash),
          info.narSize,
        ]);
        expect(references!.split(',').filter(Boolean)).toEqual([...info.references].sort());
        expect(rest).toEqual([]);
      }),
    );
  });

  it.each([0, -1])('does not exist for a NAR of %i bytes', (narSize) => {
    expectFormatError('the NAR size is not known', () => fingerprint({ ...INFO, narSize }));
  });
});

describe('a signature', () => {
  it('has the bytes that tweetnacl makes', () => {
    const seeds = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(arbitrary.pathInfo(), seeds, (info, seed) => {
        const { secretKey } = nacl.sign.keyPair.fromSeed(seed);
        const expected = nacl.sign.detached(Buffer.from(fingerprint(info)), secretKey);
        expect(signPath(info, secretKeyFromSeed('n', seed))).toBe(`n:${Buffer.from(expected).toString('base64')}`);
      }),
      { numRuns: 30 },
    );
  });

  it('is valid for what was signed, by the key or by its parsed public key', () => {
    fc.assert(
      fc.property(arbitrary.pathInfo(), (info) => {
        const signed = { ...info, signatures: [...info.signatures, signPath(info, KEY)] };
        const key = parsePublicKey(renderPublicKey(KEY.publicKey));
        expect(verifyPath(signed, [OTHER.publicKey, key])).toEqual({ state: 'valid', keyName: 'key-1' });
      }),
      { numRuns: 30 },
    );
  });

  it.each<[string, Partial<PathInfo>]>([
    ['the name', { path: `${INFO.path}2` }],
    ['the hash part', { path: INFO.path.replace('0', '1') }],
    ['the store dir', { path: INFO.path.replace('/nix/store', '/nix/stor') }],
    ['the NAR’s hash', { narHash: hashBytes('sha256', 'nar2') }],
    ['the NAR’s hash algorithm', { narHash: hashBytes('sha512', 'nar') }],
    ['the NAR’s size', { narSize: 121 }],
    ['a reference less', { references: INFO.references.slice(1) }],
    ['a reference more', { references: [...INFO.references, `/nix/store/${'b'.repeat(32)}-more`] }],
    ['another reference', { references: [INFO.references[0]!, `/nix/store/${'b'.repeat(32)}-other`] }],
    ['no references', { references: [] }],
  ])('is not valid when %s changed', (_, change) => {
    expect(verifyPath({ ...SIGNED, ...change }, [KEY.publicKey])).toEqual({ state: 'invalid', keyName: 'key-1' });
  });

  it('is not valid with any bit of the NAR’s hash flipped', () => {
    for (let bit = 0; bit < 256; bit += 11) {
      const digest = Uint8Array.from(INFO.narHash.digest);
      digest[bit >> 3]! ^= 1 << (bit & 7);
      expect(state({ ...SIGNED, narHash: { algorithm: 'sha256', digest } }, KEY.publicKey)).toBe('invalid');
    }
  });

  it('is not valid with any bit of it flipped', () => {
    const bytes = Buffer.from(SIGNED.signatures[0]!.slice('key-1:'.length), 'base64');
    for (let bit = 0; bit < 512; bit += 13) {
      const spoiled = Buffer.from(bytes);
      spoiled[bit >> 3]! ^= 1 << (bit & 7);
      expect(state({ ...INFO, signatures: [`key-1:${spoiled.toString('base64')}`] }, KEY.publicKey)).toBe('invalid');
    }
  });

  it('does not cover deriver and content address', () => {
    expect(state({ ...SIGNED, deriver: `${INFO.path}.drv`, ca: 'text:sha256:x' }, KEY.publicKey)).toBe('valid');
  });

  it('is the same for a hash written in another format', () => {
    const narHash = parseHash(`sha256:${Buffer.from(INFO.narHash.digest).toString('hex')}`);
    expect(signPath({ ...INFO, narHash }, KEY)).toBe(SIGNED.signatures[0]);
  });

  it.each([
    ['empty', ''],
    ['without a colon', 'key-1'],
    ['of nothing', 'key-1:'],
    ['of 63 bytes', `key-1:${Buffer.alloc(63).toString('base64')}`],
    ['of 65 bytes', `key-1:${Buffer.alloc(65).toString('base64')}`],
    ['of zeros', `key-1:${Buffer.alloc(64).toString('base64')}`],
    ['without its padding', SIGNED.signatures[0]!.replace(/=+$/, '')],
    ['with a space before it', SIGNED.signatures[0]!.replace(':', ': ')],
    ['with white space after it', `${SIGNED.signatures[0]} `],
    ['with a foreign character', SIGNED.signatures[0]!.replace(':', ':!')],
    ['with spare bits', SIGNED.signatures[0]!.replace(/.==$/, '1==')],
    ['in base 16', `key-1:${Buffer.from(SIGNED.signatures[0]!.slice(6), 'base64').toString('hex')}`],
  ])('is never valid when it is %s', (_, signature) => {
    expect(signature).not.toBe(SIGNED.signatures[0]);
    expect(state({ ...INFO, signatures: [signature] }, KEY.publicKey)).not.toBe('valid');
  });
});

describe('verifying', () => {
  it('calls a path without signatures unsigned', () => {
    expect(verifyPath(INFO, [KEY.publicKey])).toEqual({ state: 'unsigned' });
  });

  it('calls a path unsigned when only keys that are not trusted signed it', () => {
    expect(verifyPath(SIGNED, [OTHER.publicKey])).toEqual({ state: 'unsigned' });
    expect(verifyPath(SIGNED, [])).toEqual({ state: 'unsigned' });
  });

  it('takes one valid signature among others that are not', () => {
    const signatures = ['x', 'key-1:AAAA', signPath(INFO, IMPOSTOR), signPath(INFO, OTHER), signPath(INFO, KEY)];
    expect(verifyPath({ ...INFO, signatures }, [KEY.publicKey])).toEqual({ state: 'valid', keyName: 'key-1' });
    expect(state({ ...INFO, signatures: [...signatures].reverse() }, KEY.publicKey)).toBe('valid');
  });

  it('does not take a key for another of its name', () => {
    const signatures = [signPath(INFO, IMPOSTOR)];
    expect(verifyPath({ ...INFO, signatures }, [KEY.publicKey])).toEqual({ state: 'invalid', keyName: 'key-1' });
  });

  it('does not take a signature under another trusted key’s name', () => {
    const renamed = signPath(INFO, KEY).replace('key-1:', 'key-2:');
    const verdict = verifyPath({ ...INFO, signatures: [renamed] }, [KEY.publicKey, OTHER.publicKey]);
    expect(verdict).toEqual({ state: 'invalid', keyName: 'key-2' });
  });

  it('does not take a name for another that it begins with', () => {
    const renamed = signPath(INFO, KEY).replace('key-1:', 'key-1-old:');
    expect(state({ ...INFO, signatures: [renamed] }, KEY.publicKey)).toBe('unsigned');
    expect(state({ ...INFO, signatures: [renamed.replace('key-1-old', 'KEY-1')] }, KEY.publicKey)).toBe('unsigned');
  });

  it('takes a name that is there twice for either key', () => {
    for (const keys of [
      [KEY.publicKey, IMPOSTOR.publicKey],
      [IMPOSTOR.publicKey, KEY.publicKey],
    ]) {
      expect(verifyPath(SIGNED, keys)).toEqual({ state: 'valid', keyName: 'key-1' });
      expect(verifyPath({ ...INFO, signatures: [signPath(INFO, IMPOSTOR)] }, keys)).toMatchObject({ state: 'valid' });
      expect(verifyPath({ ...SIGNED, narSize: 1 }, keys)).toEqual({ state: 'invalid', keyName: 'key-1' });
    }
  });
});

describe('the key name of a signature', () => {
  it('is what stands before its first colon', () => {
    expect(signatureKeyName(SIGNED.signatures[0]!)).toBe('key-1');
    expect(signatureKeyName('a:b:c')).toBe('a');
    expect(signatureKeyName('no colon')).toBe('');
    expect(signatureKeyName(':x')).toBe('');
  });
});
