/** Which reference stands at the first hash part of a chunk, which at the second, and so on: as few bytes. */

import { readNumber, writeNumber } from './numbers.js';

/** References of a chunk as the table has them: some thousands are not made objects before they are used. */
export interface NotedReferences {
  readonly count: number;
  /** Runs of the same reference. */
  readonly runs: Uint8Array;
}

/** Notes references: of each run twice its index, and where it is longer than one, one more and then its length less 2. */
export function noteReferences(references: readonly number[]): NotedReferences {
  const runs: number[] = [];
  for (let at = 0; at < references.length; ) {
    const reference = references[at]!;
    let end = at + 1;
    while (references[end] === reference) end++;
    const isLong = end - at > 1;
    writeNumber(runs, 2 * reference + (isLong ? 1 : 0));
    if (isLong) writeNumber(runs, end - at - 2);
    at = end;
  }
  return { count: references.length, runs: Uint8Array.from(runs) };
}

/** The references, below `limit`; `undefined` when they are not that, or not so many. */
export function referencesOf({ count, runs }: NotedReferences, limit: number): Uint32Array | undefined {
  if (runsEnd(runs, 0, count, limit) !== runs.length) return undefined;
  const references = new Uint32Array(count);
  for (let at = 0, filled = 0; filled < count; ) {
    const run = readRun(runs, at)!;
    references.fill(run.reference, filled, filled + run.length);
    filled += run.length;
    at = run.end;
  }
  return references;
}

/** Where runs end that begin at an offset and are for `count` references below `limit`; -1 when they are not. */
export function runsEnd(bytes: Uint8Array, offset: number, count: number, limit: number): number {
  let at = offset;
  for (let left = count; left > 0; ) {
    const run = readRun(bytes, at);
    if (run === undefined || run.reference >= limit || run.length > left) return -1;
    left -= run.length;
    at = run.end;
  }
  return at;
}

function readRun(bytes: Uint8Array, offset: number) {
  const head = readNumber(bytes, offset);
  if (head === undefined) return undefined;
  const reference = head.value >>> 1;
  if ((head.value & 1) === 0) return { reference, length: 1, end: head.end };
  const more = readNumber(bytes, head.end);
  return more && { reference, length: more.value + 2, end: more.end };
}
