/** The job that decompresses and checks a cache's NAR, and gives its plain bytes back piece by piece. */

import { readVerifiedNar } from '../../compression/verified-nar.js';
import type { JobContext, PlainJob, UnpackResult } from '../jobs.js';
import { PIECE_SIZE } from '../protocol.js';
import { compressedPieces } from './compressed-nar.js';

/** The last piece, which is the only one of most NARs, is given when all of the NAR was as promised; throws what an unpacking would. */
export async function giveNar(job: PlainJob, { source, output }: JobContext): Promise<UnpackResult> {
  let fileSize = 0;
  const pieces = compressedPieces(job, source, (size) => {
    fileSize += size;
  });
  let left = job.promise.narSize;
  const room = () => Buffer.allocUnsafeSlow(Math.min(PIECE_SIZE, left));
  let [piece, size] = [room(), 0];
  for await (const bytes of readVerifiedNar(job.promise, pieces)) {
    for (let rest: Uint8Array = bytes; rest.length > 0; ) {
      if (size === piece.length) {
        await output(piece);
        [piece, size] = [room(), 0];
      }
      const part = rest.subarray(0, piece.length - size);
      piece.set(part, size);
      size += part.length;
      left -= part.length;
      rest = rest.subarray(part.length);
    }
  }
  await output(piece);
  return { fileSize };
}
