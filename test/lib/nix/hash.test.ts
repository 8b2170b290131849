import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeBase64,
  formatHash,
  HASH_ALGORITHMS,
  HASH_FORMATS,
  hashBytes,
  hashesEqual,
  parseHash,
  renderHash,
  toBase64,
  toHex,
} from '#lib/nix/hash.js';
import * as arbitrary from '../../support/arbitraries.js';
import { expectFormatError } from '../../support/errors.js';

const SHA256 = hashBytes('sha256', 'abc');
const BASE64 = formatHash(SHA256, 'base64');

describe('hashes', () => {
  it('give back what was rendered, in every algorithm and format', () => {
    fc.assert(
      fc.property(arbitrary.hash(), fc.constantFrom(...HASH_FORMATS), (hash, format) => {
        const text = formatHash(hash, format);
        expect(hashesEqual(parseHash(text, hash.algorithm), hash)).toBe(true);
        const prefixed = format === 'sri' ? text : `${hash.algorithm}:${text}`;
        expect(hashesEqual(parseHash(prefixed), hash)).toBe(true);
      }),
    );
  });

  it('render as algorithm, colon and nix32', () => {
    fc.assert(
      fc.property(arbitrary.hash(), (hash) => {
        expect(renderHash(hash)).toBe(`${hash.algorithm}:${formatHash(hash, 'nix32')}`);
        expect(hashesEqual(parseHash(renderHash(hash)), hash)).toBe(true);
      }),
    );
  });

  it('are equal only with the same algorithm and digest', () => {
    expect(hashesEqual(SHA256, hashBytes('sha256', Buffer.from('abc')))).toBe(true);
    expect(hashesEqual(SHA256, hashBytes('sha256', 'abd'))).toBe(false);
    expect(hashesEqual(SHA256, { algorithm: 'sha512', digest: SHA256.digest })).toBe(false);
  });

  it.each(HASH_ALGORITHMS)('of %s are what OpenSSL computes', (algorithm) => {
    expect(formatHash(hashBytes(algorithm, 'abc'), 'base16')).toBe(createHash(algorithm).update('abc').digest('hex'));
  });

  it('render bytes that lie inside a larger buffer', () => {
    const view = Uint8Array.from([9, 1, 2, 255, 9]).subarray(1, 4);
    expect(toHex(view)).toBe('0102ff');
    expect(toBase64(view)).toBe('AQL/');
  });

  it('parse base 16 in capitals, as Nix does', () => {
    expect(hashesEqual(parseHash(`sha256:${toHex(SHA256.digest).toUpperCase()}`), SHA256)).toBe(true);
  });
});

describe('a hash is refused', () => {
  it.each([
    ['without an algorithm', BASE64, 'no known algorithm'],
    ['of an unknown algorithm', `blake3:${BASE64}`, 'no known algorithm'],
    ['of an algorithm named as what every object has', `constructor:${BASE64}`, 'no known algorithm'],
    ['of an algorithm in capitals', `SHA256:${BASE64}`, 'no known algorithm'],
    ['when empty', '', 'no known algorithm'],
    ['without digits', 'sha256:', 'wrong length'],
    ['in base 16 with a foreign digit', `sha256:${'0'.repeat(63)}g`, 'not base 16'],
    ['in base 16 after SRI’s dash', `sha256-${toHex(SHA256.digest)}`, 'wrong length'],
    ['in nix32 after SRI’s dash', `sha256-${formatHash(SHA256, 'nix32')}`, 'wrong length'],
    ['with one character too few', renderHash(SHA256).slice(0, -1), 'wrong length'],
    ['with one character too many', `${renderHash(SHA256)}0`, 'wrong length'],
    ['with a newline after it', `${renderHash(SHA256)}\n`, 'wrong length'],
    ['of another size than its algorithm', `sha512:${BASE64}`, 'wrong length'],
    ['in nix32 with spare bits', `sha256:z${'0'.repeat(51)}`, 'spare bits'],
    ['in nix32 with a foreign character', `sha256:${'0'.repeat(51)}e`, 'not in the alphabet'],
  ])('%s', (_, text, reason) => {
    expectFormatError(reason, () => parseHash(text));
  });

  it('when its algorithm is not the wanted one', () => {
    expectFormatError('is not sha1', () => parseHash(renderHash(SHA256), 'sha1'));
  });

  it.each([
    ['without padding', (text: string) => text.slice(0, -1)],
    ['with the alphabet of URLs', (text: string) => text.replace(/[+/]/g, '-')],
    ['with white space inside', (text: string) => `${text.slice(0, 9)}\n${text.slice(10)}`],
    ['with a foreign character that Node would skip', (text: string) => `${text.slice(0, 9)}!${text.slice(10)}`],
    ['with spare bits that are not zero', (text: string) => text.replace(/.=$/, '1=')],
    ['with padding in the middle', (text: string) => `${text.slice(0, 20)}====${text.slice(24)}`],
  ])('in base 64 %s', (_, spoil) => {
    const spoiled = spoil(BASE64);
    expect(spoiled).not.toBe(BASE64);
    expectFormatError(/canonical base 64|wrong length/, () => parseHash(`sha256-${spoiled}`));
  });

  it('in base 64 of one byte more, which has the same length', () => {
    const text = Buffer.alloc(33).toString('base64');
    expect(text).toHaveLength(BASE64.length);
    expectFormatError('wrong length', () => parseHash(`sha256-${text}`));
  });
});

describe('base 64', () => {
  it('has one text for one value', () => {
    const texts = fc.string({ unit: fc.constantFrom(...'ABab01+/=-_ \n'), maxLength: 8 });
    fc.assert(
      fc.property(texts, (text) => {
        let bytes: Uint8Array | undefined;
        try {
          bytes = decodeBase64(text, 'text');
        } catch (error) {
          expect((error as Error).message).toContain('canonical');
        }
        if (bytes) expect(toBase64(bytes)).toBe(text);
      }),
      { numRuns: 500 },
    );
  });
});
