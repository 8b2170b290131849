/** The compressor of a large NAR, which other threads may help with. */

import { type Chunk, createChunker } from '../compression/chunks/chunker.js';
import { tellChunks } from '../compression/chunks/field.js';
import { renderTables } from '../compression/chunks/frames.js';
import type { HashPartFinder } from '../compression/chunks/hash-parts.js';
import { type NotedReferences, noteReferences } from '../compression/chunks/references.js';
import type { ChunkRow } from '../compression/chunks/table.js';
import type { Compressor } from '../compression/compressor.js';
import { compressChunk } from '../compression/zstd-write.js';
import { type ChunkLine, type CompressChunk, openChunkLine } from './chunk-line.js';

/**
 * Gives the bytes of `createZstdCompressor`, whoever compresses. When the line is full it does what the others have not
 * begun; alone, it does all.
 */
export function createLineCompressor(given: ChunkLine, level: number, finder: HashPartFinder): Compressor {
  const line = openChunkLine(given);
  const rows: ChunkRow[] = [];
  // Of chunks that are in the line.
  const noted = new Array<NotedReferences>(line.slots);
  // Slots are counted on: each has its turn again after all others.
  let written = 0;
  let filled = 0;
  const slotOf = (count: number) => count % line.slots;
  const compress: CompressChunk = (chunk, positions, into) => compressChunk(level, chunk, positions, into);
  const chunker = createChunker(finder, {
    room: { take: () => line.chunkOf(slotOf(filled)), close: () => undefined },
  });

  function* takeOldest(): Generator<Uint8Array> {
    const slot = slotOf(written);
    line.finish(slot, compress);
    const { size, bytes, viewHash } = line.frame(slot);
    rows.push({ size, compressedSize: bytes.length, viewHash: Uint8Array.from(viewHash), references: noted[slot]! });
    yield bytes;
    line.empty(slot);
    written++;
  }
  function* add({ bytes, positions, references }: Chunk): Generator<Uint8Array> {
    noted[slotOf(filled)] = noteReferences(references);
    line.fill(slotOf(filled), bytes.length, positions);
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
      yield* renderTables(rows);
    },
    chunks: () => tellChunks(rows),
  };
}
