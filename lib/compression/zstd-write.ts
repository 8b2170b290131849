/** Zstd frames, one a chunk, and their tables. */

import { createBufferPool } from '../buffers.js';
import { MAGIC } from '../nix/nar/tokens.js';
import type { UnknownField } from '../nix/narinfo.js';
import { CHUNK_SIZES, type Chunk, createChunker, MOST_HASH_PARTS } from './chunks/chunker.js';
import { tellChunks } from './chunks/field.js';
import { renderTables } from './chunks/frames.js';
import type { HashPartFinder } from './chunks/hash-parts.js';
import { noteReferences } from './chunks/references.js';
import type { ChunkRow } from './chunks/table.js';
import { hashPartsIn, viewHash } from './chunks/view.js';
import type { Compressor } from './compressor.js';
import { type CompressionContext, loadedZstd } from './zstd-binding.js';

/** Bytes that the frame of a chunk may take. */
const FRAME_BOUND = loadedZstd().compressBound(CHUNK_SIZES.max);

/**
 * Compresses into a plain zstd stream of independent frames, one a content-defined chunk, and the tables of them. One frame a call:
 * the bytes depend on the content, the hash parts that the finder has, the level and the version of zstd, on nothing else.
 */
export function createZstdCompressor(level: number, finder: HashPartFinder): Compressor {
  const frame = buffers.take();
  const chunker = createChunker(finder);
  const rows: ChunkRow[] = [];

  const compress = ({ bytes, positions, references }: Chunk): Uint8Array => {
    const compressed = compressChunk(level, bytes, positions, frame);
    rows.push({ ...compressed, size: bytes.length, references: noteReferences(references) });
    return frame.subarray(0, compressed.compressedSize);
  };

  return {
    *push(bytes) {
      for (const chunk of chunker.push(bytes)) yield compress(chunk);
    },
    *end() {
      for (const chunk of chunker.end()) yield compress(chunk);
      yield* renderTables(rows);
      buffers.giveBack(frame);
    },
    chunks: () => tellChunks(rows),
  };
}

/** What a chunk becomes. */
export type CompressedChunk = Pick<ChunkRow, 'compressedSize' | 'viewHash'>;

/** Compresses a chunk, with hash parts at positions, into memory of `FRAME_BOUND` bytes. */
export function compressChunk(
  level: number,
  chunk: Uint8Array,
  positions: ArrayLike<number>,
  into: Uint8Array,
): CompressedChunk {
  const compressedSize = contextOf(level, chunk).compress2(into, chunk);
  return { compressedSize, viewHash: viewHash(chunk, positions) };
}

/**
 * What `createZstdCompressor` makes of bytes that are one chunk, in memory that is used again, and the field for its narinfo.
 * `sha256` is that of the bytes.
 */
export function compressWhole(level: number, chunk: Uint8Array, sha256: Uint8Array, finder: HashPartFinder): WholeFile {
  if (chunk.length > CHUNK_SIZES.first) throw new RangeError('these bytes are more than one chunk');
  const found = hashPartsIn(chunk, finder);
  const compressedSize = contextOf(level, chunk).compress2(whole, chunk);
  const view = found.positions.length > 0 ? viewHash(chunk, found.positions) : sha256;
  const rows = [{ compressedSize, viewHash: view, size: chunk.length, references: noteReferences(found.references) }];
  let size = compressedSize;
  for (const table of renderTables(rows)) {
    whole.set(table, size);
    size += table.length;
  }
  return { file: whole.subarray(0, size), chunks: tellChunks(rows).field };
}

export interface WholeFile {
  readonly file: Buffer;
  readonly chunks: UnknownField;
}

/** Bytes that the tables of one chunk may take. */
const TABLES_BOUND = 1024 + 8 * MOST_HASH_PARTS;

const whole = Buffer.allocUnsafeSlow(loadedZstd().compressBound(CHUNK_SIZES.first) + TABLES_BOUND);

const buffers = createBufferPool(FRAME_BOUND);
const contexts = new Map<string, CompressionContext>();

/** Level 3, which is taken where none is given, goes other ways than zstd's where that gives more. */
const USUAL_LEVEL = 3;
const USUAL = { compressionLevel: USUAL_LEVEL } as const;

/**
 * The fast strategy of level 2 with matches of 5 bytes, for large chunks of programs: it takes six tenths of the time of zstd's level 3
 * for 2.5 % more bytes. Of text it would give 5 % to 8 % more. A larger table costs more time than it is worth: this one leaves room in
 * the cache of a processor.
 */
const LARGE_CHUNKS = { compressionLevel: 2, minMatch: 5 } as const;

/**
 * Chunks of small files have little to look back at: this gives 1 to 6 % less bytes of a tree of such, the most of text. Small NARs, of
 * which there are many, are compressed fast.
 */
const SMALL_TEXT = { compressionLevel: 6 } as const;
const SMALL_CHUNKS = { compressionLevel: 5 } as const;

/** Bytes of a chunk that is small: of text, and of else. */
const MOST_OF_SMALL_TEXT = 256 * 1024;
const MOST_OF_SMALL = 128 * 1024;

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
  const parameters = level === USUAL_LEVEL ? usualParameters(chunk) : { compressionLevel: level };
  const name = JSON.stringify(parameters);
  const known = contexts.get(name);
  if (known) return known;
  const context = new (loadedZstd().CCtx)();
  for (const [key, value] of Object.entries(parameters)) {
    context.setParameter(loadedZstd().CParameter[key as keyof typeof LARGE_CHUNKS], value);
  }
  contexts.set(name, context);
  return context;
}

/** What decides is in the chunk itself: whoever compresses it knows no more. */
function usualParameters(chunk: Uint8Array): typeof LARGE_CHUNKS | { readonly compressionLevel: number } {
  const isFirst = Buffer.compare(MAGIC, chunk.subarray(0, MAGIC.length)) === 0;
  if (isFirst && chunk.length <= CHUNK_SIZES.first) return USUAL;
  if (isText(chunk)) return chunk.length <= MOST_OF_SMALL_TEXT ? SMALL_TEXT : USUAL;
  return chunk.length <= MOST_OF_SMALL ? SMALL_CHUNKS : LARGE_CHUNKS;
}
