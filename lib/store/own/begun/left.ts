/** What runs have left that were stopped: when it is nobody's, and how much of it stays. */

import type { makerOf } from '../../../filesystem/temporary.js';

/** Bytes that what was left of one kind takes together, but for the newest. */
export const MOST_BYTES = 8 * 1024 * 1024 * 1024;

const DAY_MS = 24 * 60 * 60 * 1000;

/** Whether nobody uses it: its process is gone, or cannot be asked, and has not changed it for a day. Times are in milliseconds. */
export function isLeft(maker: Awaited<ReturnType<typeof makerOf>>, modified: number): boolean {
  return maker === 'gone' || (maker === 'elsewhere' && isOld(modified));
}

/** Whether nobody has gone on with it for a day. */
export function isOld(modified: number, now = Date.now()): boolean {
  return now - modified > DAY_MS;
}

/** The oldest, behind so many bytes of newer ones. The newest is none of them, however large it is: a run that was stopped has just left it. */
export function oldest<T extends { readonly size: number; readonly modified: number }>(
  left: readonly T[],
  most: number,
): readonly T[] {
  let sum = 0;
  return left
    .toSorted((a, b) => b.modified - a.modified)
    .filter(({ size }, index) => {
      sum += size;
      return sum > most && index > 0;
    });
}
