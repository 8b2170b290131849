/** Key files. */

import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { CarportError, isErrno } from '../errors.js';
import { decodeBase64, toBase64 } from '../nix/hash.js';

/** An ed25519 key that caches sign with (libutil/signature). It is never printed: `JSON.stringify` shows its name. */
export interface SecretKey {
  readonly name: string;
  readonly privateKey: KeyObject;
  readonly publicKey: PublicKey;
}

export interface PublicKey {
  readonly name: string;
  /** 32 bytes. */
  readonly bytes: Uint8Array;
  readonly key: KeyObject;
}

/** Bytes of a seed, and of a public key; a secret key is both. */
const KEY_SIZE = 32;

/** DER before the 32 bytes of an ed25519 seed (PKCS #8), RFC 8410. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Of ed25519, RFC 8037. */
const JWK = { kty: 'OKP', crv: 'Ed25519' } as const;

/** Printable ASCII without space and colon: the name stands in narinfos, which have no encoding. */
const KEY_NAME = /^[\x21-\x39\x3b-\x7e]+$/;

/** Parses a secret key file: `<name>:<base 64 of seed and public key>`. Errors never show the key. */
export function parseSecretKey(text: string): SecretKey {
  const { name, bytes } = splitKey(text, 'secret key', 2 * KEY_SIZE);
  const key = secretKey(name, bytes.subarray(0, KEY_SIZE), bytes.subarray(KEY_SIZE));
  if (key) return key;
  throw new CarportError('E_FORMAT', `secret key \`${name}\`: its two halves do not belong together`);
}

/** Makes the key of a seed of 32 random bytes. */
export function secretKeyFromSeed(name: string, seed: Uint8Array): SecretKey {
  checkKeyName(name);
  const der = { key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' } as const;
  const { x } = createPublicKey(createPrivateKey(der)).export({ format: 'jwk' });
  return secretKey(name, seed, Buffer.from(x!, 'base64url'))!;
}

/** The content of a secret key file. */
export function renderSecretKey({ name, privateKey, publicKey }: SecretKey): string {
  const seed = Buffer.from(privateKey.export({ format: 'jwk' }).d!, 'base64url');
  return `${name}:${toBase64(Buffer.concat([seed, publicKey.bytes]))}`;
}

/** Parses `<name>:<base 64 of 32 bytes>`, as in `trusted-public-keys`. */
export function parsePublicKey(text: string): PublicKey {
  const { name, bytes } = splitKey(text, 'public key', KEY_SIZE);
  return publicKey(name, bytes);
}

export function renderPublicKey({ name, bytes }: PublicKey): string {
  return `${name}:${toBase64(bytes)}`;
}

/** What people compare keys by: `SHA256:` and the base 64 of the hash of its 32 bytes, without `=`, as ssh prints it. */
export function keyFingerprint({ bytes }: Pick<PublicKey, 'bytes'>): string {
  return `SHA256:${toBase64(createHash('sha256').update(bytes).digest()).replace(/=+$/, '')}`;
}

/** Throws unless a key may have this name: not empty, no white space, no colon. */
export function checkKeyName(name: string): void {
  if (KEY_NAME.test(name)) return;
  throw new CarportError('E_USAGE', `\`${name}\` cannot be the name of a key`, {
    hint: 'use a name such as `cache.example.org-1`: ASCII without spaces and colons',
  });
}

/** As JWKs keys are made in a fraction of the time that OpenSSL takes to begin with DER. Nothing where the halves are of two keys. */
function secretKey(name: string, seed: Uint8Array, publicBytes: Uint8Array): SecretKey | undefined {
  const [d, x] = [base64url(seed), base64url(publicBytes)];
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey({ key: { ...JWK, d, x }, format: 'jwk' });
  } catch (error) {
    // Node 24 compares them itself, and earlier ones give the half that belongs to the seed.
    if (isErrno(error, 'ERR_CRYPTO_INVALID_JWK')) return undefined;
    throw error;
  }
  if (privateKey.export({ format: 'jwk' }).x !== x) return undefined;
  const key: Omit<SecretKey, 'privateKey'> = { name, publicKey: publicKey(name, publicBytes) };
  // Not enumerable, so that no logger meets it.
  Object.defineProperty(key, 'privateKey', { value: privateKey });
  return key as SecretKey;
}

function publicKey(name: string, bytes: Uint8Array): PublicKey {
  return { name, bytes, key: createPublicKey({ key: { ...JWK, x: base64url(bytes) }, format: 'jwk' }) };
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}

function splitKey(text: string, what: string, size: number): { name: string; bytes: Uint8Array } {
  const trimmed = text.trim();
  const colon = trimmed.indexOf(':');
  const name = trimmed.slice(0, colon);
  if (colon <= 0 || !KEY_NAME.test(name)) {
    throw new CarportError('E_FORMAT', `${what}: is not \`<name>:<base 64>\``);
  }
  let bytes: Uint8Array;
  try {
    bytes = decodeBase64(trimmed.slice(colon + 1), what);
  } catch {
    throw new CarportError('E_FORMAT', `${what} \`${name}\`: is not base 64`);
  }
  if (bytes.length !== size) {
    const hint =
      bytes.length === 64 ? 'this looks like a secret key; `carport key public FILE` prints its public key' : undefined;
    throw new CarportError('E_FORMAT', `${what} \`${name}\`: has ${bytes.length} bytes, not ${size}`, {
      ...(hint && { hint }),
    });
  }
  return { name, bytes };
}
