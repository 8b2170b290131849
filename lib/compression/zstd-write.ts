/** Zstd frames, one a chunk, and their tables. */

import { createHash } from 'node:crypto';
import zstd from 'zstd-napi/binding.js';
import { createBufferPool } from '../buffers.js';
import { CHUNK_SIZES, createChunker } from './chunks.js';
import type { Compressor } from './compressor.js';

/**
 * Skippable frames that follow the data (RFC 8878, 3.1.2): carport's chunk table, and the seek table of zstd's
 * contrib/seekable_format, which has to come last.
 */
const CHUNK_TABLE_FRAME = 0x184d2a5c;
const SEEK_TABLE_FRAME = 0x184d2a5e;
const SEEK_TABLE_MAGIC = 0x8f92eab1;
const CHUNK_TABLE_MAGIC = 'carport1';
const CHUNK_HASH_SIZE = 32;

interface Chunk {
  readonly compressedSize: number;
  readonly size: number;
  readonly sha256: Uint8Array;
}

/**
 * Compresses into a plain zstd stream of independent frames, one a content-defined chunk, and the tables of them. One
 * frame a call: the bytes depend on the content, the level and the version of zstd, on nothing else.
 */
export function createZstdCompressor(level: number): Compressor {
  const context = contextOf(level);
  const frame = frames.take();
  const chunker = createChunker();
  const chunks: Chunk[] = [];

  const compress = (chunk: Uint8Array): Uint8Array => {
    const compressedSize = context.compress2(frame, chunk);
    const sha256 = createHash('sha256').update(chunk).digest();
    chunks.push({ compressedSize, size: chunk.length, sha256 });
    return frame.subarray(0, compressedSize);
  };

  return {
    *push(bytes) {
      for (const chunk of chunker.push(bytes)) yield compress(chunk);
    },
    *end() {
      for (const chunk of chunker.end()) yield compress(chunk);
      yield renderChunkTable(chunks);
      yield renderSeekTable(chunks);
      frames.giveBack(frame);
    },
  };
}

const frames = createBufferPool(zstd.compressBound(CHUNK_SIZES.max));
const contexts = new Map<number, InstanceType<typeof zstd.CCtx>>();

/** A context takes a while to make and megabytes to keep. Each call compresses a whole frame, so all can share it. */
function contextOf(level: number): InstanceType<typeof zstd.CCtx> {
  const context = contexts.get(level) ?? new zstd.CCtx();
  context.setParameter(zstd.CParameter.compressionLevel, level);
  contexts.set(level, context);
  return context;
}

/** `carport1`, then for each chunk: compressed length and length (32 bits, little endian), sha256. */
function renderChunkTable(chunks: readonly Chunk[]): Uint8Array {
  const rowSize = 8 + CHUNK_HASH_SIZE;
  const body = Buffer.alloc(CHUNK_TABLE_MAGIC.length + chunks.length * rowSize);
  body.write(CHUNK_TABLE_MAGIC, 'latin1');
  chunks.forEach(({ compressedSize, size, sha256 }, index) => {
    const row = CHUNK_TABLE_MAGIC.length + index * rowSize;
    body.writeUInt32LE(compressedSize, row);
    body.writeUInt32LE(size, row + 4);
    body.set(sha256, row + 8);
  });
  return skippableFrame(CHUNK_TABLE_FRAME, body);
}

/** The standard's table: lengths of each frame, then the number of frames, a descriptor (no checksums) and a magic. */
function renderSeekTable(chunks: readonly Chunk[]): Uint8Array {
  const body = Buffer.alloc(chunks.length * 8 + 9);
  chunks.forEach(({ compressedSize, size }, index) => {
    body.writeUInt32LE(compressedSize, index * 8);
    body.writeUInt32LE(size, index * 8 + 4);
  });
  body.writeUInt32LE(chunks.length, chunks.length * 8);
  body.writeUInt32LE(SEEK_TABLE_MAGIC, chunks.length * 8 + 5);
  return skippableFrame(SEEK_TABLE_FRAME, body);
}

function skippableFrame(magic: number, body: Uint8Array): Uint8Array {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(magic, 0);
  header.writeUInt32LE(body.length, 4);
  return Buffer.concat([header, body]);
}
