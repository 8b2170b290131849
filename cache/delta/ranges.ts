/** Which ranges of an object are fetched for the chunks that are wanted of it. */

import type { ByteRange } from '../../lib/object-store/object-store.js';

/** A chunk as it lies in its object. */
export interface PlacedFrame {
  readonly offset: number;
  readonly compressedSize: number;
  /** Whether it is to be fetched. */
  readonly isWanted: boolean;
}

/** Bytes between two ranges that cost less than a request does, or than a part of an answer. */
const CHEAP_GAP = 8 * 1024;
const CHEAP_GAP_IN_ANSWER = 256;

/** The ranges that hold all wanted frames, in order, of a server that sends many in an answer. */
export function rangesTogether(frames: readonly PlacedFrame[]): readonly ByteRange[] {
  return coalesce(frames, Number.POSITIVE_INFINITY, 0, CHEAP_GAP_IN_ANSWER);
}

/**
 * The ranges that hold all wanted frames, in order. Gaps up to `cheap` are fetched along; and the smallest gaps, too, while there
 * are more ranges than `most`, as far as that costs no more than `spare` bytes in all.
 */
export function coalesce(
  frames: readonly PlacedFrame[],
  most: number,
  spare: number,
  cheap = CHEAP_GAP,
): readonly ByteRange[] {
  const runs: { offset: number; end: number }[] = [];
  for (const { offset, compressedSize, isWanted } of frames) {
    if (!isWanted || compressedSize === 0) continue;
    const last = runs.at(-1);
    if (last && offset - last.end <= cheap) last.end = offset + compressedSize;
    else runs.push({ offset, end: offset + compressedSize });
  }
  const joined = joinsOf(runs, most, spare);
  const ranges: { offset: number; length: number }[] = [];
  runs.forEach(({ offset, end }, index) => {
    const last = ranges.at(-1);
    if (last && joined.has(index)) last.length = end - last.offset;
    else ranges.push({ offset, length: end - offset });
  });
  return ranges;
}

/** The runs that are joined with the one before. */
function joinsOf(
  runs: readonly { readonly offset: number; readonly end: number }[],
  most: number,
  spare: number,
): ReadonlySet<number> {
  const gaps = runs.slice(1).map((run, index) => ({ index: index + 1, size: run.offset - runs[index]!.end }));
  const joined = new Set<number>();
  let left = spare;
  for (const { index, size } of gaps.sort((a, b) => a.size - b.size)) {
    left -= size;
    if (runs.length - joined.size <= most || left < 0) break;
    joined.add(index);
  }
  return joined;
}
