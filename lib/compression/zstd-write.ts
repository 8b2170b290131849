/** Zstd frames, one a chunk, and their tables. */

import { hash } from 'node:crypto';
import { createBufferPool } from '../buffers.js';
import { CHUNK_SIZES, createChunker } from './chunks.js';
import type { Compressor } from './compressor.js';
import { type CompressionContext, loadedZstd } from './zstd-binding.js';

/**
 * Skippable frames that follow the data (RFC 8878, 3.1.2): carport's chunk table, and the seek table of zstd's
 * contrib/seekable_format, which has to come last.
 */
const CHUNK_TABLE_FRAME = 0x184d2a5c;
const SEEK_TABLE_FRAME = 0x184d2a5e;
const SEEK_TABLE_MAGIC = 0x8f92eab1;
const CHUNK_TABLE_MAGIC = 'carport1';
const CHUNK_HASH_SIZE = 32;

/** A chunk and its frame, as the tables tell of them. */
export interface Frame {
  readonly compressedSize: number;
  readonly size: number;
  readonly sha256: Uint8Array;
}

/** Bytes that the frame of a chunk may take. */
const FRAME_BOUND = loadedZstd().compressBound(CHUNK_SIZES.max);

/**
 * Compresses into a plain zstd stream of independent frames, one a content-defined chunk, and the tables of them. One
 * frame a call: the bytes depend on the content, the level and the version of zstd, on nothing else.
 */
export function createZstdCompressor(level: number): Compressor {
  const frame = buffers.take();
  const chunker = createChunker();
  const frames: Frame[] = [];

  const compress = (chunk: Uint8Array): Uint8Array => {
    const { compressedSize } = frames[frames.push(compressChunk(level, chunk, frame)) - 1]!;
    return frame.subarray(0, compressedSize);
  };

  return {
    *push(bytes) {
      for (const chunk of chunker.push(bytes)) yield compress(chunk);
    },
    *end() {
      for (const chunk of chunker.end()) yield compress(chunk);
      yield* renderTables(frames);
      buffers.giveBack(frame);
    },
  };
}

/** Compresses a chunk into memory of `FRAME_BOUND` bytes. */
export function compressChunk(level: number, chunk: Uint8Array, into: Uint8Array): Frame {
  const compressedSize = contextOf(level, chunk).compress2(into, chunk);
  return { compressedSize, size: chunk.length, sha256: hash('sha256', chunk, 'buffer') };
}

/** What `createZstdCompressor` makes of bytes that are one chunk, in memory that is used again. `sha256` is theirs. */
export function compressWhole(level: number, chunk: Uint8Array, sha256: Uint8Array): Buffer {
  if (chunk.length > CHUNK_SIZES.min) throw new RangeError('these bytes are more than one chunk');
  const compressedSize = contextOf(level, chunk).compress2(whole, chunk);
  let size = compressedSize;
  for (const table of renderTables([{ compressedSize, size: chunk.length, sha256 }])) {
    whole.set(table, size);
    size += table.length;
  }
  return whole.subarray(0, size);
}

const whole = Buffer.allocUnsafeSlow(loadedZstd().compressBound(CHUNK_SIZES.min) + 1024);

/** What follows the frames of a NAR. */
export function renderTables(frames: readonly Frame[]): readonly Uint8Array[] {
  return [renderChunkTable(frames), renderSeekTable(frames)];
}

const buffers = createBufferPool(FRAME_BOUND);
const contexts = new Map<string, CompressionContext>();

/** Level 3, which is taken where none is given, goes this way from so many bytes of a chunk on. */
const USUAL_LEVEL = 3;
const LARGE_CHUNK = 256 * 1024;

/**
 * The fast strategy of level 2 with a larger table and matches of 5 bytes, for large chunks of programs: it takes two thirds of the
 * time of zstd's level 3 for 2 % more bytes. Of text it would give 5 % to 8 % more.
 */
const LARGE_CHUNKS = { compressionLevel: 2, hashLog: 17, minMatch: 5 } as const;

/** Each so many bytes one is looked at; a chunk of which this part is printable ASCII is text. */
const SAMPLE = 997;
const TEXT_PART = 0.6;

function isText(chunk: Uint8Array): boolean {
  let printable = 0;
  for (let at = 0; at < chunk.length; at += SAMPLE) {
    const byte = chunk[at]!;
    if ((byte >= 32 && byte < 127) || (byte >= 9 && byte <= 13)) printable++;
  }
  return printable * SAMPLE >= chunk.length * TEXT_PART;
}

/** A context takes a while to make and megabytes to keep. Each call compresses a whole frame, so all can share it. */
function contextOf(level: number, chunk: Uint8Array): CompressionContext {
  const isLarge = level === USUAL_LEVEL && chunk.length > LARGE_CHUNK && !isText(chunk);
  const name = isLarge ? 'large' : String(level);
  const known = contexts.get(name);
  if (known) return known;
  const context = new (loadedZstd().CCtx)();
  const parameters = isLarge ? LARGE_CHUNKS : { compressionLevel: level };
  for (const [key, value] of Object.entries(parameters)) {
    context.setParameter(loadedZstd().CParameter[key as keyof typeof LARGE_CHUNKS], value);
  }
  contexts.set(name, context);
  return context;
}

/** `carport1`, then for each chunk: compressed length and length (32 bits, little endian), sha256. */
function renderChunkTable(chunks: readonly Frame[]): Uint8Array {
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
function renderSeekTable(chunks: readonly Frame[]): Uint8Array {
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
