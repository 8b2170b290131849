/** Hashes in all their forms. */

import { hash } from 'node:crypto';
import { formatError } from '../errors.js';
import { decodeNix32, encodeNix32, nix32Length } from './base32.js';

/** Digest sizes in bytes of the algorithms that Nix knows. */
const DIGEST_SIZES = { md5: 16, sha1: 20, sha256: 32, sha512: 64 } as const;

export type HashAlgorithm = keyof typeof DIGEST_SIZES;
export const HASH_ALGORITHMS = Object.keys(DIGEST_SIZES) as readonly HashAlgorithm[];

export type HashFormat = 'sri' | 'nix32' | 'base16' | 'base64';
export const HASH_FORMATS: readonly HashFormat[] = ['sri', 'nix32', 'base16', 'base64'];

/** A digest and the algorithm that made it. */
export interface Hash {
  readonly algorithm: HashAlgorithm;
  readonly digest: Uint8Array;
}

/** The hash of bytes in memory. */
export function hashBytes(algorithm: HashAlgorithm, bytes: Uint8Array | string): Hash {
  return { algorithm, digest: hash(algorithm, bytes, 'buffer') };
}

/**
 * Parses a hash as Nix does (libutil/hash.cc): SRI `sha256-<base64>`, or `sha256:<x>` where the length of `x` tells
 * base 16, nix32 or base 64. A bare `x` is taken when `algorithm` is given.
 */
export function parseHash(text: string, algorithm?: HashAlgorithm): Hash {
  const match = /^([a-z0-9]+)([:-])(.*)$/s.exec(text);
  const named = match && isAlgorithm(match[1]!) ? match : null;
  const actual = named ? (named[1] as HashAlgorithm) : algorithm;
  if (actual === undefined) throw formatError(`hash \`${text}\``, 'no known algorithm before a `:` or `-`');
  if (algorithm !== undefined && actual !== algorithm) throw formatError(`hash \`${text}\``, `is not ${algorithm}`);
  const body = named ? named[3]! : text;
  return { algorithm: actual, digest: decodeDigest(text, body, DIGEST_SIZES[actual], named?.[2] === '-') };
}

/** Renders a hash: SRI, or bare digits (the `sha256:` prefix is `renderHash`'s). */
export function formatHash(hash: Hash, format: HashFormat): string {
  switch (format) {
    case 'sri':
      return `${hash.algorithm}-${toBase64(hash.digest)}`;
    case 'nix32':
      return toNix32(hash.digest);
    case 'base16':
      return toHex(hash.digest);
    case 'base64':
      return toBase64(hash.digest);
  }
}

/** `sha256:<nix32>`, the form of narinfos, fingerprints and content addresses. */
export function renderHash({ algorithm, digest }: Hash): string {
  return `${algorithm}:${toNix32(digest)}`;
}

/** Digests that were parsed or rendered last: each of thousands of paths has two, which are rendered several times. */
let recent: readonly { readonly digest: Uint8Array; readonly text: string }[] = [];

function toNix32(digest: Uint8Array): string {
  for (const known of recent) if (known.digest === digest) return known.text;
  return remember(digest, encodeNix32(digest));
}

function remember(digest: Uint8Array, text: string): string {
  const [last] = recent;
  recent = last ? [{ digest, text }, last] : [{ digest, text }];
  return text;
}

export function hashesEqual(a: Hash, b: Hash): boolean {
  return a.algorithm === b.algorithm && Buffer.compare(a.digest, b.digest) === 0;
}

/** Strict base 64: what Node's decoder would quietly skip or pad is refused. */
export function decodeBase64(text: string, what: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw formatError(what, 'is not canonical base 64');
  return bytes;
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

function isAlgorithm(text: string): text is HashAlgorithm {
  return Object.hasOwn(DIGEST_SIZES, text);
}

function decodeDigest(text: string, body: string, size: number, sri: boolean): Uint8Array {
  const what = `hash \`${text}\``;
  if (!sri && body.length === size * 2) {
    if (!/^[0-9a-fA-F]*$/.test(body)) throw formatError(what, 'is not base 16');
    return Buffer.from(body, 'hex');
  }
  if (!sri && body.length === nix32Length(size)) {
    const digest = decodeNix32(body);
    remember(digest, body);
    return digest;
  }
  if (body.length === Math.ceil(size / 3) * 4) {
    const digest = decodeBase64(body, what);
    if (digest.length === size) return digest;
  }
  throw formatError(what, `has the wrong length for a digest of ${size} bytes`);
}
