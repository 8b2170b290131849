/** In which order narinfos go: each before those that it refers to, many at a time. */

import { growing, integers } from './growing.js';
import type { NarInfoColumns } from './survey.js';

/**
 * The narinfos that go, in batches: none refers to another of its own batch or of one before. So whatever is left, and whenever
 * this stops, is complete. What refers to each other in a circle, which no store has, comes last, one at a time.
 */
export function* removalOrder(narInfos: NarInfoColumns, condemned: Uint8Array): Generator<Int32Array> {
  const { firstReference, references } = narInfos;
  const referrers = new Int32Array(narInfos.length);
  let left = 0;
  for (let number = 0; number < narInfos.length; number++) {
    if (!condemned[number]) continue;
    left++;
    for (let n = firstReference[number]!; n < firstReference[number + 1]!; n++) {
      const to = references[n]!;
      if (to >= 0 && to !== number && condemned[to]) referrers[to]!++;
    }
  }
  let batch = growing(integers);
  for (let number = 0; number < narInfos.length; number++) {
    if (condemned[number] && referrers[number] === 0) batch.push(number);
  }
  const done = new Uint8Array(narInfos.length);
  while (batch.length > 0) {
    const numbers = batch.array().subarray(0, batch.length);
    batch = growing(integers);
    for (const number of numbers) {
      done[number] = 1;
      left--;
      for (let n = firstReference[number]!; n < firstReference[number + 1]!; n++) {
        const to = references[n]!;
        if (to >= 0 && to !== number && condemned[to] && --referrers[to]! === 0) batch.push(to);
      }
    }
    yield numbers;
  }
  if (left === 0) return;
  for (let number = 0; number < narInfos.length; number++) {
    if (condemned[number] && !done[number]) yield Int32Array.of(number);
  }
}
