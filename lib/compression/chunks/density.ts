/** Where a NAR is cut into small chunks: where several regular files begin. */

import { wireTokens } from '../../nix/nar/encode.js';

/** What a regular file begins with in a NAR. No hash part can overlap it: it begins and ends with bytes that none has. */
const FILE_BEGIN = wireTokens('type', 'regular');

/** Searched for is what follows these bytes, from the `y` on: programs have fewer of them than of zeros, fours or `t`. */
const HEAD = 9;
const SEARCHED = FILE_BEGIN.subarray(HEAD);

const KIB = 1024;

/** A rule of cutting, by the number of the format with which a narinfo tells of chunks. */
export type Cutting = 2 | 3;

/** How NARs are cut that are pushed. Tables of earlier carports have the other, by which what is here is cut for them. */
export const CUTTING: Cutting = 3;

/**
 * A chunk is looked at in windows. One is hashed for small chunks where as many files begin in those just before it, and where all that
 * begin in the chunk before it, times the bytes before it, are enough: so much is fetched for nothing when one of them has changed.
 */
interface CuttingRule {
  /** Bytes of a window. */
  readonly window: number;
  /** Bytes of a chunk that is not the first one, at least. */
  readonly least: number;
  /** So many windows before, in which so many files begin. */
  readonly recent: number;
  readonly beginnings: number;
  /** Files times bytes. */
  readonly waste: number;
  /** The hash cuts where it is below: its upper 14 bits are zero, once in 16 KiB, or 12, once in 4 KiB. */
  readonly limit: number;
}

export const CUTTING_RULES: Readonly<Record<Cutting, CuttingRule>> = {
  2: { window: 64 * KIB, least: 64 * KIB, recent: 1, beginnings: 2, waste: 0, limit: 1 << 18 },
  3: { window: 8 * KIB, least: 32 * KIB, recent: 6, beginnings: 2, waste: 112 * KIB, limit: 1 << 20 },
};

/** How many files begin in these bytes. */
export function countBeginnings(bytes: Uint8Array): number {
  const window = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let count = 0;
  for (let at = window.indexOf(SEARCHED); at >= 0; at = window.indexOf(SEARCHED, at + SEARCHED.length)) {
    if (at >= HEAD && window.compare(FILE_BEGIN, 0, HEAD, at - HEAD, at) === 0) count++;
  }
  return count;
}
