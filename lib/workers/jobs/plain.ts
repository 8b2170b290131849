/** The job that decompresses and checks a cache's NAR, and gives its plain bytes back piece by piece. */

import { createHash } from 'node:crypto';
import { readVerifiedNar } from '../../compression/verified-nar.js';
import { CarportError } from '../../errors.js';
import type { JobContext, NarProgress, PlainJob, UnpackResult } from '../jobs.js';
import { PIECE_SIZE } from '../protocol.js';
import { compressedPieces } from './compressed-nar.js';

/**
 * The last piece, which is the only one of most NARs, is given when all of the NAR was as promised; throws what an unpacking
 * would. What the caller has is read again, and compared, since its hash goes on from there.
 */
export async function giveNar(job: PlainJob, { source, output }: JobContext): Promise<UnpackResult> {
  let fileSize = 0;
  const pieces = compressedPieces(job, source, (size) => {
    fileSize += size;
  });
  const skip = createSkip(job.after);
  let given = job.after?.size ?? 0;
  const room = () => Buffer.allocUnsafeSlow(Math.min(PIECE_SIZE, job.promise.narSize - given));
  const give = async (bytes: Uint8Array<ArrayBuffer>) => {
    given += bytes.length;
    skip.hasher.update(bytes);
    await output({ bytes, after: { size: given, digest: skip.hasher.copy().digest() } });
  };
  let [piece, size] = [room(), 0];
  for await (const bytes of readVerifiedNar(job.promise, pieces)) {
    for (let rest = skip.rest(bytes); rest.length > 0; ) {
      if (size === piece.length) {
        await give(piece);
        [piece, size] = [room(), 0];
      }
      const part = rest.subarray(0, piece.length - size);
      piece.set(part, size);
      size += part.length;
      rest = rest.subarray(part.length);
    }
  }
  await give(piece);
  return { fileSize };
}

/** Takes off the first bytes of a NAR, which must be those that were given before; `hasher` has them then. */
function createSkip({ size, digest }: NarProgress = { size: 0, digest: new Uint8Array() }) {
  const hasher = createHash('sha256');
  let left = size;
  return {
    hasher,
    rest(bytes: Uint8Array): Uint8Array {
      if (left === 0) return bytes;
      const known = bytes.subarray(0, left);
      hasher.update(known);
      left -= known.length;
      if (left === 0 && !hasher.copy().digest().equals(digest))
        throw new CarportError('E_INTEGRITY', 'the NAR begins with other bytes than another cache has given');
      return bytes.subarray(known.length);
    },
  };
}
