/** How many requests the NARs of a plan may cost: no more than without a delta, as far as that costs few bytes. */

import type { ByteRange } from '../../lib/object-store/object-store.js';
import { coalesce, type PlacedFrame } from './ranges.js';

/** A NAR of which some is fetched. */
export interface PartlyHere {
  readonly fileSize: number;
  readonly frames: readonly PlacedFrame[];
}

/** A file of so many bytes may well be fetched in one more request: it takes longer than that. */
const WORTH_A_REQUEST = 16 * 1024 * 1024;

/** Which part of a file may be fetched along, so that there are fewer requests. */
const SPARE_PART = 1 / 200;

/**
 * The ranges of each. `requests` is what all NARs would cost without a delta less what is spent already: for tables, and for NARs
 * that are fetched whole.
 */
export function spend(partly: readonly PartlyHere[], requests: number): readonly (readonly ByteRange[])[] {
  const wished = partly.map(({ frames }) => coalesce(frames, Number.POSITIVE_INFINITY, 0));
  const wishes = wished.reduce((sum, ranges) => sum + ranges.length, 0);
  const large = partly.reduce((sum, { fileSize }) => sum + Math.floor(fileSize / WORTH_A_REQUEST), 0);
  const budget = requests + large;
  if (wishes <= budget) return wished;
  return partly.map(({ frames, fileSize }, index) => {
    const most = Math.max(1, Math.floor((wished[index]!.length * budget) / wishes));
    return coalesce(frames, most, fileSize * SPARE_PART);
  });
}
