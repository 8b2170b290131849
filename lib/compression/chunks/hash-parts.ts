/** Finds where the hash parts of a path's own references stand in bytes; every byte of a push passes through it. */

import { randomInt } from 'node:crypto';
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
  const texts = Buffer.from(list.join(''), 'latin1');
  const byKey = indexesByKey(texts);
  // Long runs of hexadecimal digits would otherwise cost a look-up a byte.
  const flags = new Uint8Array(1 << FLAG_BITS);
  for (const key of byKey.keys()) flags[key >>> (32 - FLAG_BITS)] = 1;
  let found = -1;

  const isAt = (bytes: Uint8Array, at: number, key: number): boolean => {
    if (flags[key >>> (32 - FLAG_BITS)] === 0) return false;
    const index = byKey.get(key)?.find((each) => isText(bytes, at, each));
    if (index !== undefined) found = index;
    return index !== undefined;
  };
  const isText = (bytes: Uint8Array, at: number, index: number): boolean => {
    const start = index * HASH_PART_LENGTH;
    let same = 0;
    while (same < HASH_PART_LENGTH && bytes[at + same] === texts[start + same]) same++;
    return same === HASH_PART_LENGTH;
  };

  return {
    list,
    next(bytes, from, to) {
      // Looked at from the last of 32 bytes back to one that is not of the alphabet: of programs that is mostly the first of them.
      const lastStart = to - HASH_PART_LENGTH;
      let known = 0;
      let key = 0;
      let keyed = -2;
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
          key = keyed === start - 1 ? nextKey(key, bytes, start) : keyAt(bytes, start);
          keyed = start;
          if (isAt(bytes, start, key)) return start;
          start++;
          known = HASH_PART_LENGTH - 1;
        }
      }
      return -1;
    },
    found: () => found,
  };
}

/** The places of hash parts that follow each other, by what `keyAt` gives for them. */
function indexesByKey(texts: Uint8Array): ReadonlyMap<number, readonly number[]> {
  const indexes = new Map<number, number[]>();
  for (let start = 0; start < texts.length; start += HASH_PART_LENGTH) {
    const key = keyAt(texts, start);
    const index = start / HASH_PART_LENGTH;
    const known = indexes.get(key);
    if (known) known.push(index);
    else indexes.set(key, [index]);
  }
  return indexes;
}

/** Another one in each process: nobody can choose bytes or hash parts of which many have one key. */
const FACTOR = (randomInt(2 ** 31) * 2 + 1) | 0;
const FACTOR_OF_FIRST = powerOf(FACTOR, HASH_PART_LENGTH);

/** Bits of a key that are looked at first. */
const FLAG_BITS = 10;

/** A number of 32 characters. */
function keyAt(bytes: Uint8Array, at: number): number {
  let key = 0;
  for (let index = at; index < at + HASH_PART_LENGTH; index++) key = (Math.imul(key, FACTOR) + bytes[index]!) | 0;
  return key;
}

/** The key of the characters from `at` on, of that of those from one before on. */
function nextKey(key: number, bytes: Uint8Array, at: number): number {
  const first = Math.imul(bytes[at - 1]!, FACTOR_OF_FIRST);
  return (Math.imul(key, FACTOR) - first + bytes[at + HASH_PART_LENGTH - 1]!) | 0;
}

function powerOf(factor: number, exponent: number): number {
  let power = 1;
  for (let left = exponent; left > 0; left--) power = Math.imul(power, factor);
  return power;
}

/** How many of the last bytes, at most 31, a hash part may begin with that goes on behind them. */
export function beginningAtEnd(bytes: Uint8Array, from: number, to: number): number {
  const first = Math.max(from, to - HASH_PART_LENGTH + 1);
  let at = to;
  while (at > first && IS_NIX32[bytes[at - 1]!] !== 0) at--;
  return to - at;
}
