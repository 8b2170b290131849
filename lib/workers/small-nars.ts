/** Gathers small NARs that are to be unpacked: a thread is given many at a time, and not a message each. */

import { createBatches } from './batches.js';
import type { Placement, SmallNar, SmallNarState, UnplacedTree } from './jobs.js';
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

/** Makes what unpacks small NARs in the threads of a pool, in the order of calls. */
export function createSmallNarUnpacker(pool: WorkerPool): SmallNarUnpacker {
  const unpack = createBatches<WaitingNar, UnpackedNar>(pool.size, async (batch) => {
    const placements = batch.map((nar) => nar.placement());
    const states = await pool.run(jobOf(batch, placements), { weight: weightOf(batch) });
    return states.map((state, index) => ({ state, placement: placements[index] }));
  });
  return async (nar) => {
    // The thread finds the bytes of each by what was promised of those before.
    const isOfAnotherSize = nar.bytes !== undefined && nar.bytes.length !== nar.promise.fileSize;
    return isOfAnotherSize ? { state: 'refused', placement: undefined } : unpack(nar);
  };
}

/** Bytes that giving a tree its name is worth. */
const PLACING = 4096;

/** Gives trees their names in the threads of a pool, in the order of calls. */
export function createTreePlacer(pool: WorkerPool): (tree: UnplacedTree) => Promise<SmallNarState> {
  return createBatches(pool.size, (batch) =>
    pool.run({ type: 'place', trees: JSON.stringify(batch) }, { weight: batch.length * PLACING }),
  );
}

function jobOf(batch: readonly WaitingNar[], placements: readonly (Placement | undefined)[]) {
  const nars = batch.map(({ promise, destination, file }, index): SmallNar => {
    const placement = placements[index];
    return { promise, destination, ...(file !== undefined && { file }), ...(placement && { placement }) };
  });
  const bytes = batch.flatMap((nar) => nar.bytes ?? []);
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

function weightOf(batch: readonly WaitingNar[]): number {
  return batch.reduce((sum, { promise }) => sum + promise.narSize, 0);
}
