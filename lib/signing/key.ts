/** Key files. */

import { createHash, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import nacl from 'tweetnacl';
import { CarportError } from '../errors.js';
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

/** DER before the 32 bytes of an ed25519 seed (PKCS #8) and public key (SPKI), RFC 8410. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** Printable ASCII without space and colon: the name stands in narinfos, which have no encoding. */
const KEY_NAME = /^[\x21-\x39\x3b-\x7e]+$/;

/** Parses a secret key file: `<name>:<base 64 of seed and public key>`. Errors never show the key. */
export function parseSecretKey(text: string): SecretKey {
  const { name, bytes } = splitKey(text, 'secret key', nacl.sign.secretKeyLength);
  const half = nacl.sign.seedLength;
  const key = secretKey(name, bytes.subarray(0, half), bytes.subarray(half));
  // Each run reads its keys: OpenSSL does that in a hundredth of tweetnacl's time.
  const ofSeed = createPublicKey(key.privateKey).export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length);
  if (Buffer.compare(ofSeed, key.publicKey.bytes) === 0) return key;
  throw new CarportError('E_FORMAT', `secret key \`${name}\`: its two halves do not belong together`);
}

/** Makes the key of a seed of 32 random bytes. */
export function secretKeyFromSeed(name: string, seed: Uint8Array): SecretKey {
  checkKeyName(name);
  return secretKey(name, seed, nacl.sign.keyPair.fromSeed(seed).publicKey);
}

/** The content of a secret key file. */
export function renderSecretKey({ name, privateKey, publicKey }: SecretKey): string {
  const seed = privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(PKCS8_PREFIX.length);
  return `${name}:${toBase64(Buffer.concat([seed, publicKey.bytes]))}`;
}

/** Parses `<name>:<base 64 of 32 bytes>`, as in `trusted-public-keys`. */
export function parsePublicKey(text: string): PublicKey {
  const { name, bytes } = splitKey(text, 'public key', nacl.sign.publicKeyLength);
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

function secretKey(name: string, seed: Uint8Array, publicBytes: Uint8Array): SecretKey {
  const der = Buffer.concat([PKCS8_PREFIX, seed]);
  const key = { name, publicKey: publicKey(name, publicBytes) };
  // Not enumerable, so that no logger meets it.
  Object.defineProperty(key, 'privateKey', { value: createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }) });
  return key as SecretKey;
}

function publicKey(name: string, bytes: Uint8Array): PublicKey {
  const der = Buffer.concat([SPKI_PREFIX, bytes]);
  return { name, bytes, key: createPublicKey({ key: der, format: 'der', type: 'spki' }) };
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
