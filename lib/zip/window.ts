/** Reads of a file that come one after another, in pieces that are larger than each of them. */

import type { FileHandle } from 'node:fs/promises';

/** Bytes that are read at a time. */
const WINDOW = 256 * 1024;

/** Reads bytes from a position; what is returned is the caller's to read only. Fails where the file ends before. */
export type ReadAt = (position: number, length: number) => Promise<Buffer>;

/** The reads of an archive: its directory, and headers in their order, lie beside each other. */
export function windowOf(file: FileHandle): ReadAt {
  let start = 0;
  let held = Buffer.alloc(0);
  return async (position, length) => {
    if (position < start || position + length > start + held.length) {
      const wanted = Buffer.allocUnsafe(Math.max(length, WINDOW));
      let filled = 0;
      while (filled < length) {
        const { bytesRead } = await file.read(wanted, filled, wanted.length - filled, position + filled);
        if (bytesRead === 0) throw new Error('it ends before it should');
        filled += bytesRead;
      }
      [start, held] = [position, wanted.subarray(0, filled)];
    }
    return held.subarray(position - start, position - start + length);
  };
}

const PIECE = 1024 * 1024;

/** A part of a file. The file stays open. */
export async function* piecesOf(
  file: FileHandle,
  { start, end }: { readonly start: number; readonly end: number },
): AsyncGenerator<Uint8Array> {
  for (let at = start; at < end; ) {
    const piece = Buffer.alloc(Math.min(PIECE, end - at));
    const { bytesRead } = await file.read(piece, 0, piece.length, at);
    if (bytesRead === 0) throw new Error('it became shorter while it was read');
    yield piece.subarray(0, bytesRead);
    at += bytesRead;
  }
}
