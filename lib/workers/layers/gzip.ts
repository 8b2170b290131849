/**
 * Gzip whose bytes are the same everywhere. Those of Node's zlib depend on the zlib that Node was built with, and on the
 * processor; these are what zlib itself makes, by the package `pako`, which is zlib in JavaScript.
 */

import { Deflate } from 'pako';
import type { Compressor } from '../../compression/compressor.js';

/** Bytes of output that are made at a time. */
const PIECE = 256 * 1024;

/** Compresses into one member without a name and a time. The bytes do not depend on how they are given. */
export function createGzipCompressor(level: number): Compressor {
  const made: Uint8Array[] = [];
  const deflate = new Deflate({ level, gzip: true, chunkSize: PIECE, legacyHash: true });
  deflate.onData = (bytes) => void made.push(bytes as Uint8Array);
  function* take(bytes: Uint8Array, isLast: boolean): Generator<Uint8Array> {
    if (!deflate.push(bytes, isLast)) throw new Error(`gzip: ${deflate.msg}`);
    yield* made.splice(0);
  }
  return { push: (bytes) => take(bytes, false), end: () => take(new Uint8Array(), true) };
}
