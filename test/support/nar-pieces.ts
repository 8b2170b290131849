import { CarportError } from '#lib/errors.js';
import { hashBytes } from '#lib/nix/hash.js';
import type { NarPiece, NarProgress } from '#lib/workers/jobs.js';

/** Pieces of bytes as a thread gives those of a NAR. */
export function* piecesOf(
  nar: Buffer,
  { size, after }: { readonly size: number; readonly after?: NarProgress | undefined },
): Generator<NarPiece> {
  const progressAt = (end: number): NarProgress => ({
    size: end,
    digest: hashBytes('sha256', nar.subarray(0, end)).digest,
  });
  if (after && Buffer.compare(after.digest, progressAt(after.size).digest) !== 0) {
    throw new CarportError('E_INTEGRITY', 'the NAR begins with other bytes');
  }
  for (let at = after?.size ?? 0; at < nar.length; at += size) {
    const bytes = Uint8Array.from(nar.subarray(at, at + size));
    yield { bytes, after: progressAt(at + bytes.length) };
  }
}
