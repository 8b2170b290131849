/** Room for NARs that are held until all of one is there, and what is done where there is none. */

import type { NarPiece } from '../../lib/workers/jobs.js';

/** One NAR takes no more than this part of all. */
const MOST_PART = 1 / 4;

/** Memory that NARs share which are held at a time. */
export interface Room {
  /**
   * The pieces of a NAR of so many bytes, when all of them have come; where there is no room for it, each as it comes. Throws what
   * reading them throws.
   */
  whenWhole(pieces: AsyncIterable<NarPiece>, size: number): AsyncGenerator<NarPiece>;
}

/** Room of so many bytes. */
export function createRoom(all: number): Room {
  let left = all;
  return {
    async *whenWhole(pieces, size) {
      if (size > Math.min(left, all * MOST_PART)) return yield* pieces;
      left -= size;
      try {
        const held: NarPiece[] = [];
        for await (const piece of pieces) held.push(piece);
        yield* held;
      } finally {
        left += size;
      }
    },
  };
}
