/** Gathers small NARs that are to be unpacked: a thread is given many at a time, and not a message each. */

import type { Placement, SmallNar, SmallNarState } from './jobs.js';
import type { WorkerPool } from './pool.js';

/** A small NAR that waits for a thread. */
export interface WaitingNar extends Omit<SmallNar, 'placement'> {
  /** The file's bytes, where it is no file of this machine. They are copied. */
  readonly bytes?: Uint8Array;
  /** Asked when a thread takes it: what the tree needs may be there by then, so that it can get its name. */
  placement(): Placement | undefined;
}

/** What has become of a small NAR. */
export interface UnpackedNar {
  readonly state: SmallNarState;
  /** Where it was or is to be placed. */
  readonly placement: Placement | undefined;
}

/** Unpacks small NARs. Fails only when threads do. */
export type SmallNarUnpacker = (nar: WaitingNar) => Promise<UnpackedNar>;

/** NARs that a thread is given at a time: it takes some milliseconds for them. */
const BATCH = 32;
/** Batches that a thread has: it need not wait for the main thread. */
const BATCHES = 2;

interface Waiting {
  readonly nar: WaitingNar;
  readonly resolve: (unpacked: UnpackedNar) => void;
  readonly reject: (error: unknown) => void;
}

/** Makes what unpacks small NARs in the threads of a pool, in the order of calls. */
export function createSmallNarUnpacker(pool: WorkerPool): SmallNarUnpacker {
  const queue: Waiting[] = [];
  let running = 0;

  const dispatch = (): void => {
    while (queue.length > 0 && running < pool.size * BATCHES) {
      running++;
      void run(queue.splice(0, Math.min(BATCH, Math.ceil(queue.length / pool.size))));
    }
  };
  const run = async (batch: readonly Waiting[]): Promise<void> => {
    try {
      const placements = batch.map(({ nar }) => nar.placement());
      const states = await pool.run(jobOf(batch, placements), { weight: weightOf(batch) });
      batch.forEach(({ resolve }, index) => {
        resolve({ state: states[index]!, placement: placements[index] });
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      running--;
      // What waits for these comes first.
      setImmediate(dispatch);
    }
  };
  return (nar) =>
    new Promise((resolve, reject) => {
      // The thread finds the bytes of each by what was promised of those before.
      const isOfAnotherSize = nar.bytes !== undefined && nar.bytes.length !== nar.promise.fileSize;
      if (isOfAnotherSize) return resolve({ state: 'refused', placement: undefined });
      queue.push({ nar, resolve, reject });
      // What is asked for in the same turn goes together.
      if (queue.length === 1) setImmediate(dispatch);
    });
}

function jobOf(batch: readonly Waiting[], placements: readonly (Placement | undefined)[]) {
  const nars = batch.map(({ nar: { promise, destination, file } }, index): SmallNar => {
    const placement = placements[index];
    return { promise, destination, ...(file !== undefined && { file }), ...(placement && { placement }) };
  });
  const bytes = batch.flatMap(({ nar }) => nar.bytes ?? []);
  const job = { type: 'unpack-small', nars: JSON.stringify(nars) } as const;
  return bytes.length === 0 ? job : { ...job, bytes: joined(bytes) };
}

/** In memory of their own: of a buffer that shares it, all would be copied to the thread. */
function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

function weightOf(batch: readonly Waiting[]): number {
  return batch.reduce((sum, { nar }) => sum + nar.promise.narSize, 0);
}
