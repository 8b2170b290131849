/** Bodies that can be sent again. */

import { createReadStream } from 'node:fs';
import type { RequestBody } from './transport.js';

/** Bytes, or a file of which the size is known. */
export type BytesOrFile = Uint8Array | { readonly path: string; readonly size: number };

const READ_SIZE = 256 * 1024;

/** A body that can be sent again after a try that failed. */
export function restartable(body: BytesOrFile): RequestBody {
  return body instanceof Uint8Array ? body : restartableRange(body.path, 0, body.size);
}

/** The same of a part of a file. */
export function restartableRange(path: string, start: number, size: number): RequestBody {
  return { size, open: () => fileRange(path, start, size) };
}

/** The file is opened when it is read, so that nobody misses its failure. */
async function* fileRange(path: string, start: number, size: number): AsyncGenerator<Uint8Array> {
  // A stream cannot end before its first byte.
  if (size > 0) yield* createReadStream(path, { start, end: start + size - 1, highWaterMark: READ_SIZE });
}
