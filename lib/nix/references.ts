/** Scanners for hash parts, the rewriter, the hash of a NAR that holds its own path. */

import { createHash } from 'node:crypto';
import { formatError } from '../errors.js';
import { nix32Value } from './base32.js';
import type { Hash } from './hash.js';
import { HASH_PART_LENGTH, isHashPart } from './store-path.js';

/** 1 for the bytes of nix32's alphabet. */
const IS_NIX32 = Uint8Array.from({ length: 256 }, (_, byte) => (nix32Value(byte) >= 0 ? 1 : 0));

export interface ReferenceScanner {
  push(bytes: Uint8Array): void;
  /** The hash parts that were seen, of those looked for, sorted. */
  found(): readonly string[];
}

/**
 * Looks for store paths' hash parts in a stream, as Nix does (libstore/references.cc): any 32 characters of nix32 that
 * are one of `candidates`, wherever they stand, also across the edges of pieces.
 */
export function createReferenceScanner(candidates: Iterable<string>): ReferenceScanner {
  const missing = new Set(candidates);
  const found = new Set<string>();
  // One flag for each first pair of bytes: long runs of hexadecimal digits would otherwise cost a look-up a byte.
  const firstPairs = new Uint8Array(65536);
  for (const hashPart of missing) firstPairs[hashPart.charCodeAt(0) * 256 + hashPart.charCodeAt(1)] = 1;
  const withTail = createOverlap(HASH_PART_LENGTH - 1);
  return {
    push(piece) {
      const bytes = withTail(piece);
      forEachHashPart(bytes, (position) => {
        if (firstPairs[bytes[position]! * 256 + bytes[position + 1]!] === 0) return;
        const hashPart = bytes.toString('latin1', position, position + HASH_PART_LENGTH);
        if (missing.delete(hashPart)) found.add(hashPart);
      });
    },
    found: () => [...found].sort(),
  };
}

/** Looks for hash parts that stand as whole paths, `<store dir>/<hash part>-`, of whatever store path. */
export function createMentionScanner(storeDir: string): ReferenceScanner {
  const prefix = Buffer.from(`${storeDir}/`);
  const found = new Set<string>();
  const withTail = createOverlap(prefix.length + HASH_PART_LENGTH);
  return {
    push(piece) {
      const bytes = withTail(piece);
      for (let at = bytes.indexOf(prefix); at >= 0; at = bytes.indexOf(prefix, at + 1)) {
        const start = at + prefix.length;
        const text = bytes.toString('latin1', start, start + HASH_PART_LENGTH + 1);
        if (text.endsWith('-') && isHashPart(text.slice(0, -1))) found.add(text.slice(0, -1));
      }
    },
    found: () => [...found].sort(),
  };
}

/**
 * Replaces a hash part in a stream by another text of its length, and tells where it stood. What comes out is as long as
 * what goes in, a little later.
 */
export function createHashPartRewriter(from: string, to: string) {
  if (from.length === 0 || from.length !== to.length)
    throw formatError('hash part', 'its replacement has another length');
  const wanted = Buffer.from(from, 'latin1');
  const replacement = Buffer.from(to, 'latin1');
  const positions: number[] = [];
  let held: Buffer = Buffer.alloc(0);
  let offset = 0;
  const release = (bytes: Buffer, size: number): Buffer => {
    held = Buffer.from(bytes.subarray(size));
    offset += size;
    return bytes.subarray(0, size);
  };
  return {
    push(piece: Uint8Array): Uint8Array {
      const bytes = Buffer.concat([held, piece]);
      let end = 0;
      for (let at = bytes.indexOf(wanted); at >= 0; at = bytes.indexOf(wanted, end)) {
        positions.push(offset + at);
        replacement.copy(bytes, at);
        end = at + wanted.length;
      }
      return release(bytes, Math.max(end, bytes.length - wanted.length + 1, 0));
    },
    /** The bytes that were held back. */
    end: (): Uint8Array => release(held, held.length),
    positions: positions as readonly number[],
  };
}

/**
 * The hash of a NAR that holds its own path: sha256 over the NAR with each of its own hash parts zeroed, and then
 * `|<position>` for each (libstore's HashModuloSink; Nix 2.17 to 2.34 left the positions out).
 */
export function createSelfReferenceHasher(selfHashPart: string) {
  const rewriter = createHashPartRewriter(selfHashPart, '\0'.repeat(HASH_PART_LENGTH));
  const hasher = createHash('sha256');
  return {
    push(bytes: Uint8Array): void {
      hasher.update(rewriter.push(bytes));
    },
    finish(): Hash {
      hasher.update(rewriter.end());
      for (const position of rewriter.positions) hasher.update(`|${position}`);
      return { algorithm: 'sha256', digest: hasher.digest() };
    },
  };
}

/** Puts the last `size` bytes of what came before in front of each piece. */
function createOverlap(size: number): (piece: Uint8Array) => Buffer {
  let tail: Buffer = Buffer.alloc(0);
  return (piece) => {
    const bytes = Buffer.concat([tail, piece]);
    tail = Buffer.from(bytes.subarray(Math.max(0, bytes.length - size)));
    return bytes;
  };
}

/** Calls back for every place where 32 characters of nix32 stand; each byte is looked at about once. */
function forEachHashPart(bytes: Uint8Array, found: (position: number) => void): void {
  let start = 0;
  let checked = 0;
  while (start + HASH_PART_LENGTH <= bytes.length) {
    const last = start + HASH_PART_LENGTH - 1;
    let at = last;
    while (at >= start + checked && IS_NIX32[bytes[at]!] === 1) at--;
    if (at < start + checked) {
      found(start);
      start++;
      checked = HASH_PART_LENGTH - 1;
    } else {
      start = at + 1;
      checked = last - at;
    }
  }
}
