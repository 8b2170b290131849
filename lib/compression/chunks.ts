/** Cuts a stream where its content says so. */

import { copyBytes, createBufferPool } from '../buffers.js';
import { createCutFinder } from './gear/cut-finder.js';

/**
 * Bytes of a chunk: at least, and at most (a mean of some 1.4 MiB). Smaller ones cost more in the tables of frames than a
 * reader of single chunks gains; of a toolchain chunks of half the size give 2 % more bytes.
 */
export const CHUNK_SIZES = { min: 1024 * 1024, max: 2 * 1024 * 1024 } as const;

const buffers = createBufferPool(CHUNK_SIZES.max);

/** Where chunks are gathered. */
export interface ChunkRoom {
  /** Room for the next chunk, of `CHUNK_SIZES.max` bytes. */
  take(): Uint8Array;
  /** All is done with it. */
  close(): void;
}

export interface Chunker {
  /** The chunks that these bytes complete. A chunk is valid until the next one is asked for. */
  push(bytes: Uint8Array): Generator<Uint8Array>;
  /** The last chunk, unless it is empty. */
  end(): Generator<Uint8Array>;
}

/**
 * Cuts a stream where its content says so (a gear hash over the last 32 bytes), so that an insertion changes the chunks
 * around it and no others. Where the pieces of `push` end makes no difference.
 */
export function createChunker(room: ChunkRoom = oneBuffer()): Chunker {
  let buffer: Uint8Array = room.take();
  let used = 0;
  const finder = createCutFinder();

  /** The end of the chunk, as an offset in the bytes that follow what is `used`, or -1. */
  const findCut = (taken: Uint8Array): number => {
    const skipped = Math.max(CHUNK_SIZES.min - used, 0);
    const cut = finder.find(taken.subarray(skipped));
    if (cut >= 0) return skipped + cut;
    return used + taken.length === CHUNK_SIZES.max ? taken.length : -1;
  };

  return {
    *push(bytes) {
      for (let offset = 0; offset < bytes.length; ) {
        const taken = bytes.subarray(offset, offset + CHUNK_SIZES.max - used);
        const cut = findCut(taken);
        const kept = cut < 0 ? taken : taken.subarray(0, cut);
        copyBytes(kept, buffer, used);
        used += kept.length;
        if (cut < 0) return;
        offset += cut;
        const size = used;
        used = 0;
        finder.restart();
        yield buffer.subarray(0, size);
        buffer = room.take();
      }
    },
    *end() {
      if (used > 0) yield buffer.subarray(0, used);
      used = 0;
      room.close();
    },
  };
}

/** One chunk after another in the same memory. */
function oneBuffer(): ChunkRoom {
  const buffer = buffers.take();
  return { take: () => buffer, close: () => buffers.giveBack(buffer) };
}
