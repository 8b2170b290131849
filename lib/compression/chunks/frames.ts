/**
 * What follows the frames of a NAR, in skippable frames (RFC 8878, 3.1.2): carport's table of chunks, and the seek table of zstd's
 * contrib/seekable_format, which has to come last.
 */

import { formatError } from '../../errors.js';
import { type ChunkRow, renderRows } from './table.js';

const CHUNK_TABLE_FRAME = 0x184d2a5c;
const SEEK_TABLE_FRAME = 0x184d2a5e;
const SEEK_TABLE_MAGIC = 0x8f92eab1;
const CHUNK_TABLE_MAGIC = 'carport2';

/** The magic and the length of what follows. */
const HEADER_SIZE = 8;

/** Bytes of the table's frame beside its rows: header, magic, and at the end its length, for who comes from there. */
const AROUND_ROWS = HEADER_SIZE + CHUNK_TABLE_MAGIC.length + 4;

/** Bytes of the seek table's frame beside its rows of 8 bytes. */
const SEEK_FOOTER = 9;
const AROUND_SEEK_ROWS = HEADER_SIZE + SEEK_FOOTER;

/** Where a table's frame is in a file. */
export interface TablePlace {
  readonly offset: number;
  readonly length: number;
}

/** The frames that follow those of the chunks. */
export function renderTables(chunks: readonly ChunkRow[]): readonly Uint8Array[] {
  return [renderChunkTable(renderRows(chunks)), renderSeekTable(chunks)];
}

/** Where the table of so many bytes of rows is, behind frames of so many bytes. */
export function tablePlace(dataSize: number, rowsSize: number): TablePlace {
  return { offset: dataSize, length: AROUND_ROWS + rowsSize };
}

/** `carport2`, the rows, and the length of the whole frame (32 bits, little endian). */
function renderChunkTable(rows: Uint8Array): Uint8Array {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(AROUND_ROWS + rows.length);
  return skippableFrame(CHUNK_TABLE_FRAME, Buffer.concat([Buffer.from(CHUNK_TABLE_MAGIC), rows, length]));
}

/** The standard's table: lengths of each frame, then the number of frames, a descriptor (no checksums) and a magic. */
function renderSeekTable(chunks: readonly Pick<ChunkRow, 'compressedSize' | 'size'>[]): Uint8Array {
  const body = Buffer.alloc(chunks.length * 8 + SEEK_FOOTER);
  chunks.forEach(({ compressedSize, size }, index) => {
    body.writeUInt32LE(compressedSize, index * 8);
    body.writeUInt32LE(size, index * 8 + 4);
  });
  body.writeUInt32LE(chunks.length, chunks.length * 8);
  body.writeUInt32LE(SEEK_TABLE_MAGIC, chunks.length * 8 + 5);
  return skippableFrame(SEEK_TABLE_FRAME, body);
}

function skippableFrame(magic: number, body: Uint8Array): Uint8Array {
  const header = Buffer.alloc(HEADER_SIZE);
  header.writeUInt32LE(magic, 0);
  header.writeUInt32LE(body.length, 4);
  return Buffer.concat([header, body]);
}

/** The rows of an untrusted table's frame. Throws `E_FORMAT` when the bytes are not just that, or it is of another version. */
export function rowsOfFrame(frame: Uint8Array): Uint8Array {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.length);
  const isFrame =
    bytes.length >= AROUND_ROWS &&
    bytes.readUInt32LE(0) === CHUNK_TABLE_FRAME &&
    bytes.readUInt32LE(4) === bytes.length - HEADER_SIZE &&
    bytes.toString('latin1', HEADER_SIZE, HEADER_SIZE + CHUNK_TABLE_MAGIC.length) === CHUNK_TABLE_MAGIC &&
    bytes.readUInt32LE(bytes.length - 4) === bytes.length;
  if (!isFrame) throw formatError('table of chunks', 'it is none that carport knows');
  return bytes.subarray(HEADER_SIZE + CHUNK_TABLE_MAGIC.length, -4);
}

/**
 * Where the table is in a file of which the last bytes are given: 4 more than the seek table has are enough. `undefined` when
 * there is none, or it begins farther up than `tail` tells.
 */
export function findTable(tail: Uint8Array, fileSize: number): TablePlace | undefined {
  const bytes = Buffer.from(tail.buffer, tail.byteOffset, tail.length);
  if (bytes.length < AROUND_SEEK_ROWS || bytes.readUInt32LE(bytes.length - 4) !== SEEK_TABLE_MAGIC) return undefined;
  const seekLength = bytes.readUInt32LE(bytes.length - SEEK_FOOTER) * 8 + AROUND_SEEK_ROWS;
  const start = bytes.length - seekLength;
  if (start < 4 || bytes.readUInt32LE(start) !== SEEK_TABLE_FRAME) return undefined;
  const length = bytes.readUInt32LE(start - 4);
  const offset = fileSize - seekLength - length;
  return length >= AROUND_ROWS && offset >= 0 ? { offset, length } : undefined;
}
