/** The plain NAR of a compressed one, decompressed and checked by a thread, as a stream. */

import type { Pieces } from '../buffers.js';
import type { ExpectedNar } from '../compression/verified-nar.js';
import type { Assembly } from './jobs/delta/assembly.js';
import type { NarPiece, NarProgress } from './jobs.js';
import { createOutlet } from './outlet.js';
import type { WorkerPool } from './pool.js';

/** The file of a compressed NAR, or its bytes; or how a NAR is made of what is here, and what is not. */
export type PlainNarFrom =
  | { readonly file: string }
  | { readonly source: Pieces; readonly assembly?: Assembly }
  | { readonly assembly: Assembly };

/**
 * The NAR that was promised, from where `after` ends, in pieces with memory of their own, each with the hash of all up to its end.
 * The last piece comes when all of it was as promised; else this throws what an unpacking would, and what came before is not to be
 * used. When `signal` is aborted, or nobody reads on, the source is let go.
 */
export async function* readPlainNar(
  pool: WorkerPool,
  promise: ExpectedNar,
  from: PlainNarFrom,
  signal: AbortSignal,
  after?: NarProgress,
): AsyncGenerator<NarPiece> {
  signal.throwIfAborted();
  const outlet = createOutlet();
  const onAbort = () => outlet.stop(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const job = { type: 'plain', promise, ...(after && { after }) } as const;
  const { source, ...where } = { source: undefined, ...from };
  const running = pool.run({ ...job, ...where }, { outlet, ...(source && { source }) });
  running.then(outlet.end, outlet.fail);
  try {
    yield* outlet.pieces();
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
