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

/** Which part of a file may be fetched along, so that there are fewer requests. */
const SPARE_PART = 1 / 200;

/** Ways to fetch a NAR that are looked at. */
const MOST_WAYS = 64;

/**
 * The ranges of each. `requests` is what all NARs would cost without a delta less what is spent already: for tables, and for NARs
 * that are fetched whole.
 */
export function spend(partly: readonly PartlyHere[], requests: number): readonly (readonly ByteRange[])[] {
  const wished = partly.map(wish);
  const costs = wished.map((ranges, index) => requestsFor(ranges, partly[index]!));
  const wishes = costs.reduce((sum, cost) => sum + cost, 0);
  if (wishes <= requests) return wished;
  return partly.map((each, index) => {
    if (each.isTogether) return wished[index]!;
    const most = Math.max(1, Math.floor((costs[index]! * requests) / wishes));
    return rangesOf(each, most);
  });
}

function wish({ frames, isTogether }: PartlyHere): readonly ByteRange[] {
  return isTogether ? rangesTogether(frames) : coalesce(frames, Number.POSITIVE_INFINITY, 0);
}

/** Requests that ranges cost. */
export function requestsFor(ranges: readonly ByteRange[], { isTogether }: Pick<PartlyHere, 'isTogether'>): number {
  return isTogether ? Math.ceil(ranges.length / MOST_TOGETHER) : ranges.length;
}

/** The ranges of a NAR that may cost so many requests. */
function rangesOf({ frames, fileSize }: PartlyHere, most: number): readonly ByteRange[] {
  return coalesce(frames, most, fileSize * SPARE_PART);
}

/** All that `spend` may give for a NAR, whatever the others are; of one of very many ranges some of that. */
export function waysToSpend(partly: PartlyHere): readonly (readonly ByteRange[])[] {
  const wished = coalesce(partly.frames, Number.POSITIVE_INFINITY, 0);
  const together = partly.isTogether ? [rangesTogether(partly.frames)] : [];
  const mosts = Array.from({ length: Math.min(MOST_WAYS, wished.length) }, (_, index) => index + 1);
  return [...together, wished, ...mosts.map((most) => rangesOf(partly, most))];
}
