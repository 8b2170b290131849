/** Cuts a stream where its content says so. */

import { createHash } from 'node:crypto';
import { copyBytes, createBufferPool } from '../buffers.js';

/**
 * Bytes of a chunk: at least, and at most (a mean of some 1.4 MiB). Smaller ones cost more in the tables of frames than a
 * reader of single chunks gains; of a toolchain chunks of half the size give 2 % more bytes.
 */
export const CHUNK_SIZES = { min: 1024 * 1024, max: 2 * 1024 * 1024 } as const;

/** The hash cuts where its upper 19 bits are zero: once in 512 KiB. */
const CUT_MASK = 0xffffe000;

/** Random-looking numbers that are the same everywhere: chunks of one content must be cut alike on all machines. */
const GEAR = Int32Array.from({ length: 256 }, (_, byte) =>
  createHash('sha256').update(`carport gear ${byte}`).digest().readInt32LE(),
);

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
  let hash = 0;

  /** Hashes on over `buffer[from, to)`; the end of a chunk, or -1. */
  const findCut = (from: number, to: number): number => {
    for (let at = Math.max(from, CHUNK_SIZES.min); at < to; at++) {
      hash = ((hash << 1) + GEAR[buffer[at]!]!) | 0;
      if ((hash & CUT_MASK) === 0) return at + 1;
    }
    return to === CHUNK_SIZES.max ? to : -1;
  };

  return {
    *push(bytes) {
      for (let offset = 0; offset < bytes.length; ) {
        const taken = bytes.subarray(offset, offset + CHUNK_SIZES.max - used);
        copyBytes(taken, buffer, used);
        const cut = findCut(used, used + taken.length);
        if (cut < 0) {
          used += taken.length;
          return;
        }
        offset += cut - used;
        used = 0;
        hash = 0;
        yield buffer.subarray(0, cut);
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
