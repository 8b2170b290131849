/** Small documents as one frame of zstd: made in one step, and never more of them read than is wanted. */

import { setImmediate } from 'node:timers/promises';
import { CarportError, formatError } from '../errors.js';
import { decompressZstd } from './decompress.js';
import { loadZstd } from './zstd-binding.js';

/** Bytes of a file that are taken in one turn: what is made to be slow takes some milliseconds of each. */
const BYTES_A_TURN = 64 * 1024;

/** The largest window, of 16 MiB: a frame that wants more memory is refused. */
const WINDOW_LOG_MAX = 24;

/** One frame. */
export async function compressDocument(bytes: Uint8Array, level: number): Promise<Buffer> {
  const zstd = await loadZstd();
  const context = new zstd.CCtx();
  context.setParameter(zstd.CParameter.compressionLevel, level);
  const into = Buffer.allocUnsafeSlow(zstd.compressBound(bytes.length));
  return Buffer.from(into.subarray(0, context.compress2(into, bytes)));
}

/** What an untrusted frame holds; `E_FORMAT` for more than `limit` bytes or one frame, and for what is not whole, or no zstd. */
export async function decompressDocument(bytes: Uint8Array, limit: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  try {
    for await (const piece of decompressZstd(inTurns(bytes), { windowLogMax: WINDOW_LOG_MAX, isOneFrame: true })) {
      size += piece.length;
      if (size > limit) break;
      pieces.push(Buffer.from(piece));
    }
  } catch (cause) {
    if (cause instanceof CarportError) throw formatError('document', cause.message);
    throw formatError('document', `is not zstd: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  if (size > limit) throw formatError('document', `is larger than ${limit} bytes`);
  return Buffer.concat(pieces, size);
}

/** Parts of a file, between which others have their turn. */
async function* inTurns(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += BYTES_A_TURN) {
    if (at > 0) await setImmediate();
    yield bytes.subarray(at, at + BYTES_A_TURN);
  }
}
