/** The compressor of a large NAR, which other threads may help with. */

import { createChunker } from '../compression/chunks.js';
import type { Compressor } from '../compression/compressor.js';
import { compressChunk, type Frame, renderTables } from '../compression/zstd-write.js';
import { type ChunkLine, openChunkLine } from './chunk-line.js';

/**
 * Gives the bytes of `createZstdCompressor`, whoever compresses. When the line is full it does what the others have not
 * begun; alone, it does all.
 */
export function createLineCompressor(given: ChunkLine, level: number): Compressor {
  const line = openChunkLine(given);
  const frames: Frame[] = [];
  // Slots are counted on: each has its turn again after all others.
  let written = 0;
  let filled = 0;
  const slotOf = (count: number) => count % line.slots;
  const compress = (chunk: Uint8Array, into: Uint8Array) => compressChunk(level, chunk, into);
  const chunker = createChunker({ take: () => line.chunkOf(slotOf(filled)), close: () => undefined });

  function* takeOldest(): Generator<Uint8Array> {
    const slot = slotOf(written);
    line.finish(slot, compress);
    const { size, bytes, sha256 } = line.frame(slot);
    frames.push({ size, compressedSize: bytes.length, sha256: Uint8Array.from(sha256) });
    yield bytes;
    line.empty(slot);
    written++;
  }
  function* add(chunk: Uint8Array): Generator<Uint8Array> {
    line.fill(slotOf(filled), chunk.length);
    filled++;
    while (written < filled && (line.isDone(slotOf(written)) || filled - written === line.slots)) yield* takeOldest();
  }

  return {
    *push(bytes) {
      for (const chunk of chunker.push(bytes)) yield* add(chunk);
    },
    *end() {
      for (const chunk of chunker.end()) yield* add(chunk);
      while (written < filled) yield* takeOldest();
      line.end();
      yield* renderTables(frames);
    },
  };
}
