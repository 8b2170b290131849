import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { inspect } from 'node:util';
import fc from 'fast-check';
import nacl from 'tweetnacl';
import { describe, expect, it, vi } from 'vitest';
import { isKeyPair } from '#lib/ed25519-pair.js';
import type { CarportError } from '#lib/errors.js';
import {
  checkKeyName,
  parsePublicKey,
  parseSecretKey,
  renderPublicKey,
  renderSecretKey,
  secretKeyFromSeed,
} from '#lib/signing/key.js';
import { textOf } from '../../support/arbitraries.js';
import { expectError, expectFormatError } from '../../support/errors.js';

const SEED = Uint8Array.from({ length: 32 }, (_, index) => index * 7 + 3);
const KEY = secretKeyFromSeed('test-1', SEED);
const SECRET = renderSecretKey(KEY);
const SECRET_BASE64 = SECRET.slice('test-1:'.length);
const PUBLIC = renderPublicKey(KEY.publicKey);
const PUBLIC_BASE64 = PUBLIC.slice('test-1:'.length);

const seeds = () => fc.uint8Array({ minLength: 32, maxLength: 32 });
const names = () => textOf('abcXYZ019.-_+/=', 1, 20);

describe('a key', () => {
  it('gives back what was rendered, secret and public', () => {
    fc.assert(
      fc.property(names(), seeds(), (name, seed) => {
        const key = secretKeyFromSeed(name, seed);
        const parsed = parseSecretKey(renderSecretKey(key));
        expect(renderSecretKey(parsed)).toBe(renderSecretKey(key));
        expect(parsed.name).toBe(name);
        const parsedPublic = parsePublicKey(renderPublicKey(key.publicKey));
        expect(parsedPublic.name).toBe(name);
        expect([...parsedPublic.bytes]).toEqual([...key.publicKey.bytes]);
      }),
    );
  });

  it('is written as tweetnacl’s key pair, after its name', () => {
    fc.assert(
      fc.property(seeds(), (seed) => {
        const pair = nacl.sign.keyPair.fromSeed(seed);
        const key = secretKeyFromSeed('n', seed);
        expect(renderSecretKey(key)).toBe(`n:${Buffer.from(pair.secretKey).toString('base64')}`);
        expect(renderPublicKey(key.publicKey)).toBe(`n:${Buffer.from(pair.publicKey).toString('base64')}`);
      }),
      { numRuns: 20 },
    );
  });

  it('may stand in a file that ends in a newline', () => {
    expect(renderSecretKey(parseSecretKey(`${SECRET}\n`))).toBe(SECRET);
    expect(renderPublicKey(parsePublicKey(` ${PUBLIC}\r\n`))).toBe(PUBLIC);
  });
});

describe('a secret key is refused', () => {
  it('when its public half is another’s', () => {
    const other = secretKeyFromSeed('other', new Uint8Array(32));
    const mixed = Buffer.concat([SEED, other.publicKey.bytes]).toString('base64');
    expectFormatError('its two halves do not belong together', () => parseSecretKey(`test-1:${mixed}`));
  });

  it.each([
    ['ERR_CRYPTO_INVALID_JWK', 'its two halves do not belong together', false],
    ['ERR_OSSL_EVP_UNSUPPORTED', 'unsupported', true],
  ])('and not called wrong where OpenSSL fails, with %s', (code, reason, isHidden) => {
    const failing = vi.spyOn(crypto, 'createPrivateKey').mockImplementation(() => {
      throw Object.assign(new Error('unsupported'), { code });
    });
    syncBuiltinESMExports();
    try {
      expect(() => parseSecretKey(SECRET)).toThrow(reason);
      expect(isKeyPair('', '')).toBe(isHidden);
    } finally {
      failing.mockRestore();
      syncBuiltinESMExports();
    }
  });

  it('when any bit of it is flipped', () => {
    const bytes = Buffer.from(SECRET_BASE64, 'base64');
    for (let bit = 0; bit < 512; bit += 5) {
      const spoiled = Buffer.from(bytes);
      spoiled[bit >> 3]! ^= 1 << (bit & 7);
      const text = `test-1:${spoiled.toString('base64')}`;
      expectFormatError('two halves', () => parseSecretKey(text));
    }
  });

  it.each([
    ['that is empty', '', 'is not `<name>:<base 64>`'],
    ['without a name', `:${SECRET_BASE64}`, 'is not `<name>:<base 64>`'],
    ['without a colon', SECRET_BASE64, 'is not `<name>:<base 64>`'],
    ['with white space in its name', `test 1:${SECRET_BASE64}`, 'is not `<name>:<base 64>`'],
    ['with a newline before its colon', `test-1\n:${SECRET_BASE64}`, 'is not `<name>:<base 64>`'],
    ['with another colon', `test-1:x:${SECRET_BASE64}`, 'is not base 64'],
    ['with a space after its colon', `test-1: ${SECRET_BASE64}`, 'is not base 64'],
    ['without padding', `test-1:${SECRET_BASE64.replace(/=+$/, '')}`, 'is not base 64'],
    ['with too much padding', `test-1:${SECRET_BASE64}=`, 'is not base 64'],
    ['with a line break inside', `test-1:${SECRET_BASE64.slice(0, 40)}\n${SECRET_BASE64.slice(40)}`, 'is not base 64'],
    ['with a foreign character', `test-1:!${SECRET_BASE64}`, 'is not base 64'],
    ['cut short', `test-1:${SECRET_BASE64.slice(0, 84)}`, 'has 63 bytes, not 64'],
    ['that is only a seed', `test-1:${Buffer.from(SEED).toString('base64')}`, 'has 32 bytes, not 64'],
    ['that is a public key', PUBLIC, 'has 32 bytes, not 64'],
    ['without bytes', 'test-1:', 'has 0 bytes, not 64'],
  ])('%s, and the error does not show it', (_, text, reason) => {
    expectSecretHidden(expectFormatError(reason, () => parseSecretKey(text)));
  });
});

describe('a public key is refused', () => {
  it.each([
    ['that is empty', '', 'is not `<name>:<base 64>`'],
    ['without a name', `:${PUBLIC_BASE64}`, 'is not `<name>:<base 64>`'],
    ['without a colon', PUBLIC_BASE64, 'is not `<name>:<base 64>`'],
    ['without padding', PUBLIC.replace(/=$/, ''), 'is not base 64'],
    ['with spare bits that are not zero', PUBLIC.replace(/.=$/, '1='), 'is not base 64'],
    ['with 31 bytes', `k:${Buffer.alloc(31).toString('base64')}`, 'has 31 bytes, not 32'],
    ['with 33 bytes', `k:${Buffer.alloc(33).toString('base64')}`, 'has 33 bytes, not 32'],
  ])('%s', (_, text, reason) => {
    expect(text).not.toBe(PUBLIC);
    expectFormatError(reason, () => parsePublicKey(text));
  });

  it('that is a secret key, with a hint that does not show it', () => {
    const error = expectFormatError('has 64 bytes, not 32', () => parsePublicKey(SECRET));
    expect(error.hint).toContain('looks like a secret key');
    expectSecretHidden(error);
  });
});

describe('a secret key is never shown', () => {
  it.each<[string, () => string]>([
    ['JSON', () => JSON.stringify(KEY)],
    ['JSON of something that holds it', () => JSON.stringify({ keys: [KEY] })],
    ['inspection', () => inspect(KEY)],
    ['inspection of everything', () => inspect(KEY, { showHidden: true, depth: 20 })],
    ['a spread copy', () => inspect({ ...KEY }, { showHidden: true })],
    ['text', () => `${KEY}`],
  ])('by %s', (_, show) => {
    const seed = Buffer.from(SEED);
    const shown = show();
    for (const form of [
      SECRET_BASE64,
      SECRET_BASE64.slice(0, 40),
      seed.toString('hex'),
      [...seed.subarray(0, 8)].join(','),
    ]) {
      expect(shown.replace(/\s/g, '')).not.toContain(form);
    }
    expect(shown.toLowerCase()).not.toContain(seed.toString('hex').slice(0, 16).match(/../g)!.join(' '));
    expect(shown).not.toContain(String.fromCharCode(...SEED.subarray(0, 4)));
  });

  it('nor copied by a spread', () => {
    expect({ ...KEY }).not.toHaveProperty('privateKey');
    expect(Object.keys(KEY).sort()).toEqual(['name', 'publicKey']);
  });

  it('while its name is', () => {
    expect(JSON.parse(JSON.stringify(KEY))).toMatchObject({ name: 'test-1' });
  });
});

describe('the name of a key', () => {
  it.each(['a', 'cache.example.org-1', 'a/b', '!~'])('may be `%s`', (name) => {
    expect(() => checkKeyName(name)).not.toThrow();
  });

  it.each(['', ' ', 'a b', 'a:b', ':', 'a\n', '\ta', 'a\u00a0b', 'é', 'a\u010aURL', 'a\r\nSig: x'])(
    'may not be %j',
    (name) => {
      expectError('E_USAGE', 'cannot be the name of a key', () => checkKeyName(name));
      expectError('E_USAGE', 'cannot be the name of a key', () => secretKeyFromSeed(name, SEED));
    },
  );
});

function expectSecretHidden(error: CarportError): void {
  const shown = inspect(error, { showHidden: true, depth: 20 }) + JSON.stringify(error) + String(error.stack);
  for (let at = 0; at + 12 <= 43; at++) expect(shown).not.toContain(SECRET_BASE64.slice(at, at + 12));
}
