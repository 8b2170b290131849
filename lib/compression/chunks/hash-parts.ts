/** Finds where the hash parts of a path's own references stand in bytes; every byte of a push passes through it. */

import { nix32Value } from '../../nix/base32.js';
import type { PathInfo } from '../../nix/path-info.js';
import { HASH_PART_LENGTH, hashPartOf } from '../../nix/store-path.js';

/** Looks for the hash parts of a list. */
export interface HashPartFinder {
  readonly list: readonly string[];
  /** Where the first one stands that begins at `from` or later and ends at `to` or before, or -1. */
  next(bytes: Uint8Array, from: number, to: number): number;
  /** Which of the list `next` has found. */
  found(): number;
}

/** The hash parts of a path's references and of itself, each once, in order of their bytes (that of `References`, too). */
export function hashPartList({ path, references }: Pick<PathInfo, 'path' | 'references'>): readonly string[] {
  return [...new Set([path, ...references].map(hashPartOf))].sort();
}

/** The values of bytes of nix32's alphabet; -1 for others. */
const VALUES = Int8Array.from({ length: 256 }, (_, byte) => nix32Value(byte));

/** 1 for these, 0 for others: no sign to look at. */
const IS_NIX32 = Uint8Array.from(VALUES, (value) => (value >= 0 ? 1 : 0));

/**
 * Makes one for a list, in which nothing is twice. Of hash parts that overlap, the one that begins first is found when the next
 * search begins behind it.
 */
export function createHashPartFinder(list: readonly string[]): HashPartFinder {
  const indexes = new Map(list.map((hashPart, index) => [hashPart, index]));
  // One flag for each first pair of characters: long runs of hexadecimal digits would otherwise cost a look-up a byte.
  const firstPairs = new Uint8Array(1024);
  for (const hashPart of list) {
    firstPairs[(nix32Value(hashPart.charCodeAt(0)) << 5) | nix32Value(hashPart.charCodeAt(1))] = 1;
  }
  let found = -1;

  const isAt = (bytes: Uint8Array, at: number): boolean => {
    if (firstPairs[(VALUES[bytes[at]!]! << 5) | VALUES[bytes[at + 1]!]!] === 0) return false;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + at, HASH_PART_LENGTH).toString('latin1');
    found = indexes.get(text) ?? -1;
    return found >= 0;
  };

  return {
    list,
    next(bytes, from, to) {
      // Looked at from the last of 32 bytes back to one that is not of the alphabet: of programs that is mostly the first of them.
      const lastStart = to - HASH_PART_LENGTH;
      let known = 0;
      for (let start = from; start <= lastStart; ) {
        const last = start + HASH_PART_LENGTH - 1;
        if (IS_NIX32[bytes[last]!] === 0) {
          start = last + 1;
          known = 0;
          continue;
        }
        const first = start + known;
        let at = last - 1;
        while (at >= first && IS_NIX32[bytes[at]!] !== 0) at--;
        if (at >= first) {
          start = at + 1;
          known = last - at;
        } else {
          if (isAt(bytes, start)) return start;
          start++;
          known = HASH_PART_LENGTH - 1;
        }
      }
      return -1;
    },
    found: () => found,
  };
}

/** How many of the last bytes, at most 31, a hash part may begin with that goes on behind them. */
export function beginningAtEnd(bytes: Uint8Array, from: number, to: number): number {
  const first = Math.max(from, to - HASH_PART_LENGTH + 1);
  let at = to;
  while (at > first && IS_NIX32[bytes[at - 1]!] !== 0) at--;
  return to - at;
}
