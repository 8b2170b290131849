/** Where a NAR is cut into small chunks: where several regular files begin. */

import { wireTokens } from '../../nix/nar/encode.js';

/** What a regular file begins with in a NAR. No hash part can overlap it: it begins and ends with bytes that none has. */
const FILE_BEGIN = wireTokens('type', 'regular');

/** Searched for is what follows these bytes, from the `y` on: programs have fewer of them than of zeros, fours or `t`. */
const HEAD = 9;
const SEARCHED = FILE_BEGIN.subarray(HEAD);

const KIB = 1024;

/** A rule of cutting, by the number of the format with which a narinfo tells of chunks. */
export type Cutting = 2 | 3 | 4;

/** How NARs are cut that are pushed. Tables of earlier carports have the others, by which what is here is cut for them. */
export const CUTTING: Cutting = 4;

/**
 * A chunk is looked at in windows. One is dense where as many files begin in those just before it, and all that begin in the chunk before
 * it, times the bytes before it, are enough: so much is fetched for nothing when one of them has changed.
 */
interface CuttingRule {
  /** Bytes of a window. */
  readonly window: number;
  /** Bytes of a chunk that is not the first one, at least. */
  readonly least: number;
  /** So many windows before, in the same chunk, in which so many files begin. */
  readonly recent: number;
  readonly beginnings: number;
  /** Where files are small: the last one counts of which files times bytes are enough. */
  readonly dense: readonly DenseRule[];
  /** Where they are not: the last one counts from which on in the NAR the chunk begins. */
  readonly large: readonly [LargeRule, ...LargeRule[]];
}

interface LargeRule {
  /** Bytes of the NAR before the chunk. */
  readonly from: number;
  /** Bytes of a chunk that are not hashed. */
  readonly least: number;
  readonly limit: number;
}

interface DenseRule {
  /** Files times bytes. */
  readonly waste: number;
  /** The hash cuts where it is below. */
  readonly limit: number;
}

/** What the hash is below once in so many bytes, which is a power of two. */
function onceIn(bytes: number): number {
  return 2 ** 32 / bytes;
}

const LARGE = { from: 0, least: 1024 * KIB, limit: onceIn(512 * KIB) };

/**
 * Where a chunk may end early, though seldom, two that begin in different places soon end in the same: so it is where a file has grown or
 * is gone. With a limit for the last bytes only, all that follow could differ.
 */
export const CUTTING_RULES: Readonly<Record<Cutting, CuttingRule>> = {
  2: {
    ...{ window: 64 * KIB, least: 64 * KIB, recent: 1, beginnings: 2 },
    dense: [{ waste: 0, limit: onceIn(16 * KIB) }],
    large: [LARGE],
  },
  3: {
    ...{ window: 8 * KIB, least: 32 * KIB, recent: 6, beginnings: 2 },
    dense: [{ waste: 112 * KIB, limit: onceIn(4 * KIB) }],
    large: [LARGE],
  },
  4: {
    ...{ window: 8 * KIB, least: 32 * KIB, recent: 24, beginnings: 1 },
    dense: [
      { waste: 40 * KIB, limit: onceIn(16 * KIB) },
      { waste: 200 * KIB, limit: onceIn(8 * KIB) },
    ],
    // What has changed in a small NAR is to be little of it.
    large: [
      { from: 0, least: 256 * KIB, limit: onceIn(128 * KIB) },
      { from: 4096 * KIB, least: 512 * KIB, limit: onceIn(512 * KIB) },
    ],
  },
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
