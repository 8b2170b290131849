/** What comes of a line of which nothing is compressed: bytes in order, whoever makes them, and files may be written of them. */

import { type ChunkLine, type CompressChunk, openChunkLine } from './chunk-line.js';
import type { SharedWrites } from './files/shared-writes.js';

/**
 * Slots that are filled and taken in turns. `make` makes of what a slot was filled with the bytes that it gives; where these are not as many
 * as they should be, `makeAlone` makes them, or says why that fails.
 */
export function createLineOutput(
  given: ChunkLine,
  writes: SharedWrites | undefined,
  make: CompressChunk,
  makeAlone: (from: Uint8Array, size: number) => Uint8Array,
) {
  const line = openChunkLine(given);
  // How many writes there were when a slot was left: they may be of its bytes.
  const lastWrites = new Array<number>(line.slots).fill(0);
  const contentSizes = new Array<number>(line.slots).fill(0);
  // Slots are counted on: each has its turn again after all others.
  let filled = 0;
  let taken = 0;
  const slotOf = (count: number) => count % line.slots;

  function* takeOldest(): Generator<Uint8Array> {
    const slot = slotOf(taken);
    line.finish(slot, make, writes?.help);
    const { bytes, size } = line.frame(slot);
    const isWhole = bytes.length === contentSizes[slot];
    const content = isWhole ? bytes : makeAlone(line.chunkOf(slot).subarray(0, size), contentSizes[slot]!);
    if (content.length > 0) yield content;
    if (writes && writes.count() > lastWrites[(slot + line.slots - 1) % line.slots]!) line.wake();
    lastWrites[slot] = writes?.count() ?? 0;
    line.empty(slot);
    taken++;
  }
  return {
    /** Where the next one is to be put; a slot is always free, as soon as what was in it is written. */
    room(): Uint8Array {
      writes?.finish(lastWrites[slotOf(filled)]!);
      return line.chunkOf(slotOf(filled));
    },
    /** The next slot has so many bytes, of which so many are to be made. */
    fill(size: number, contentSize: number): void {
      contentSizes[slotOf(filled)] = contentSize;
      line.fill(slotOf(filled), size);
      filled++;
    },
    /** Whether half of the slots are filled: the others are those of which files are written. */
    isHalfFull: () => filled - taken >= line.slots / 2,
    takeOldest,
    /** What is done, in order, and more until a slot is free. */
    *takeDone(): Generator<Uint8Array> {
      while (taken < filled && (line.isDone(slotOf(taken)) || filled - taken === line.slots)) yield* takeOldest();
    },
    *takeAll(): Generator<Uint8Array> {
      while (taken < filled) yield* takeOldest();
    },
    hasTaken: () => taken > 0,
    end: () => line.end(),
  };
}
