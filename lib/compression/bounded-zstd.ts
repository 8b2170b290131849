/** Small documents as zstd: in one step, and never more of them than is wanted. */

import { formatError } from '../errors.js';
import { loadZstd } from './zstd-binding.js';

/** Bytes that one step gives at most. */
const PIECE_SIZE = 256 * 1024;

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

/** What untrusted frames hold; `E_FORMAT` for more than `limit` bytes, and for what is not whole, or no zstd. */
export async function decompressDocument(bytes: Uint8Array, limit: number): Promise<Buffer> {
  const zstd = await loadZstd();
  const context = new zstd.DCtx();
  context.setParameter(zstd.DParameter.windowLogMax, WINDOW_LOG_MAX);
  const pieces: Buffer[] = [];
  const output = Buffer.allocUnsafe(PIECE_SIZE);
  let [size, taken, isAtEnd, holdsMore] = [0, 0, false, false];
  try {
    while (taken < bytes.length || holdsMore) {
      const [expected, produced, consumed] = context.decompressStream(output, bytes.subarray(taken));
      taken += consumed;
      size += produced;
      if (size > limit) break;
      pieces.push(Buffer.from(output.subarray(0, produced)));
      isAtEnd = expected === 0;
      holdsMore = produced === output.length && !isAtEnd;
    }
  } catch (cause) {
    throw formatError('document', `is not zstd: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  if (size > limit) throw formatError('document', `is larger than ${limit} bytes`);
  if (!isAtEnd) throw formatError('document', 'its end is missing');
  return Buffer.concat(pieces, size);
}
