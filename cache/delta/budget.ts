/** How many requests the NARs of a plan may cost: no more than without a delta, as far as that costs few bytes. */

import type { ByteRange } from '../../lib/object-store/object-store.js';
import { MOST_TOGETHER } from './many-ranges.js';
import { coalesce, type PlacedFrame, rangesTogether } from './ranges.js';

/** A NAR of which some is fetched. */
export interface PartlyHere {
  readonly fileSize: number;
  readonly frames: readonly PlacedFrame[];
  /** Whether its server sends many ranges in an answer. */
  readonly isTogether?: boolean;
}

/**
 * Which part of all files may be fetched in all, so that there are fewer requests: with tables and narinfos that is less than 3 %. Where it does
 * not suffice for no more of them than without a delta, one less is worth so many bytes at most; and where more is fetched in any case, only a
 * little is fetched along.
 */
const MOST_PART = 0.0275;
const WORTH_A_REQUEST = 1024 * 1024;
const MUCH_PART = 0.03;
const SPARE_PART = 1 / 200;

/**
 * The ranges of each. `requests` is what all NARs would cost without a delta less what is spent already: for tables, and for NARs
 * that are fetched whole. Where the ranges are more, the nearest are joined, of whichever NAR they are.
 */
export function spend(partly: readonly PartlyHere[], requests: number): readonly (readonly ByteRange[])[] {
  const wished = partly.map(wish);
  const cost = wished.reduce((sum, ranges, index) => sum + requestsFor(ranges, partly[index]!), 0);
  if (cost <= requests) return wished;
  const gaps = wished.flatMap((ranges, index) => (partly[index]!.isTogether ? [] : gapsOf(ranges, index)));
  const fewer = gaps.sort((a, b) => a.length - b.length).slice(0, cost - requests);
  const spare = spareBytes(sizesOf(wished.flat()), sizesOf(partly.map(({ fileSize: length }) => ({ length }))));
  const needed = fewer.length < cost - requests ? Number.POSITIVE_INFINITY : sizesOf(fewer);
  const suffices = needed <= spare;
  let left = spare;
  const joins = partly.map(() => 0);
  for (const { index, length } of fewer) {
    left -= length;
    if (left < 0 || (!suffices && length > WORTH_A_REQUEST)) break;
    joins[index]!++;
  }
  return wished.map((ranges, index) => joinedTo(ranges.length - joins[index]!, partly[index]!, ranges));
}

/** What may be fetched along. */
function spareBytes(wished: number, fileSize: number): number {
  if (wished > fileSize * MUCH_PART) return fileSize * SPARE_PART;
  return Math.max(0, fileSize * MOST_PART - wished);
}

function sizesOf(all: readonly { readonly length: number }[]): number {
  return all.reduce((sum, { length }) => sum + length, 0);
}

/** Bytes between ranges of a NAR. */
function gapsOf(ranges: readonly ByteRange[], index: number) {
  return ranges.slice(1).map(({ offset }, before) => {
    const { offset: from, length } = ranges[before]!;
    return { index, length: offset - from - length };
  });
}

function wish({ frames, isTogether }: PartlyHere): readonly ByteRange[] {
  return isTogether ? rangesTogether(frames) : coalesce(frames, Number.POSITIVE_INFINITY, 0);
}

/** Requests that ranges cost. */
export function requestsFor(ranges: readonly ByteRange[], { isTogether }: Pick<PartlyHere, 'isTogether'>): number {
  return isTogether ? Math.ceil(ranges.length / MOST_TOGETHER) : ranges.length;
}

/** The ranges of a NAR, where that are to be so many; `wished` are those that it needs. */
function joinedTo(count: number, { frames }: PartlyHere, wished: readonly ByteRange[]): readonly ByteRange[] {
  return count === wished.length ? wished : coalesce(frames, count, Number.POSITIVE_INFINITY);
}
