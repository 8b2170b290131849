/** The table of a NAR's chunks: what each holds, and where it is in the file. */

import { formatError } from '../../errors.js';
import { HASH_PART_LENGTH } from '../../nix/store-path.js';
import { CHUNK_SIZES, MOST_HASH_PARTS } from './chunker.js';
import { readNumber, writeNumber } from './numbers.js';
import { type NotedReferences, runsEnd } from './references.js';
import { VIEW_HASH_SIZE } from './view.js';

/** What a table says of one chunk. */
export interface ChunkRow {
  /** Bytes of its frame. */
  readonly compressedSize: number;
  readonly size: number;
  /** As `viewHash` gives it. */
  readonly viewHash: Uint8Array;
  /** Which references stand at its hash parts, by their index in the path's `hashPartList`. */
  readonly references: NotedReferences;
}

/** A chunk of a table that was read, and where it is. */
export interface TableChunk extends ChunkRow {
  /** Where it begins in the NAR. */
  readonly offset: number;
  /** Where its frame begins in the file. */
  readonly fileOffset: number;
}

/** What is known of a NAR by other ways. */
export interface TableBounds {
  readonly narSize: number;
  /** Bytes of the frames together: where the tables begin. Where it is not known, the bytes of the file. */
  readonly dataSize?: number;
  readonly fileSize: number;
  /** How many hash parts the path's list has. */
  readonly references: number;
}

/** The rows of chunks, as the table's frame and the field of a narinfo have them. */
export function renderRows(chunks: readonly ChunkRow[]): Buffer {
  return Buffer.concat(
    chunks.flatMap(({ compressedSize, size, viewHash, references }) => {
      const [sizes, count]: [number[], number[]] = [[], []];
      writeNumber(sizes, compressedSize);
      writeNumber(sizes, size);
      writeNumber(count, references.count);
      return [Uint8Array.from(sizes), viewHash, Uint8Array.from(count), references.runs];
    }),
  );
}

/**
 * Reads the rows of an untrusted table: of chunks of the sizes that chunks have, which together are the NAR and the frames, with
 * references of the list. Throws `E_FORMAT` for all else. What is made is not more than some times the rows.
 */
export function parseRows(rows: Uint8Array, { narSize, dataSize, fileSize, references }: TableBounds): TableChunk[] {
  const chunks: TableChunk[] = [];
  let [at, offset, fileOffset] = [0, 0, 0];
  while (at < rows.length) {
    const { row, end } = parseRow(rows, at, references);
    const isLast = end === rows.length;
    const least = offset === 0 ? CHUNK_SIZES.first : CHUNK_SIZES.dense;
    const isSized = row.size <= CHUNK_SIZES.max && (row.size >= least || isLast);
    if (!isSized || row.compressedSize > mostOf(row.size)) throw wrong('a chunk or its frame has not the size of one');
    chunks.push({ ...row, offset, fileOffset });
    at = end;
    offset += row.size;
    fileOffset += row.compressedSize;
    if (offset > narSize || fileOffset > (dataSize ?? fileSize)) throw wrong('it goes on behind the end');
  }
  if (offset !== narSize || (dataSize !== undefined && fileOffset !== dataSize)) throw wrong('it is not of all chunks');
  return chunks;
}

function parseRow(rows: Uint8Array, at: number, limit: number): { readonly row: ChunkRow; readonly end: number } {
  const compressedSize = readNumber(rows, at);
  const size = compressedSize && readNumber(rows, compressedSize.end);
  const hashEnd = size ? size.end + VIEW_HASH_SIZE : 0;
  const count = size && readNumber(rows, hashEnd);
  if (!compressedSize?.value || !size?.value || !count) throw wrong('it ends within a row, or a number is none');
  if (count.value > Math.min(MOST_HASH_PARTS, size.value / HASH_PART_LENGTH))
    throw wrong('a chunk has too many hash parts');
  const end = runsEnd(rows, count.end, count.value, limit);
  if (end < 0) throw wrong('a reference is not of the list');
  const viewHash = rows.subarray(size.end, hashEnd);
  const references = { count: count.value, runs: rows.subarray(count.end, end) };
  return { row: { compressedSize: compressedSize.value, size: size.value, viewHash, references }, end };
}

/** Bytes that a frame takes at most, of what cannot be compressed (`ZSTD_compressBound`). */
function mostOf(size: number): number {
  return size + Math.ceil(size / 256) + 64;
}

function wrong(why: string) {
  return formatError('table of chunks', why);
}
