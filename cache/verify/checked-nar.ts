/** Reads the whole NAR of a path, and compares it with what its narinfo says. */

import { NarRefusal } from '../../lib/compression/nar-refusal.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { expectedNar } from '../binary-cache.js';
import { localNar, openRequiredNar } from '../nars.js';
import { refusedNar } from '../refused-nar.js';

/**
 * Has a worker read the NAR of a path, as often as the store may give other bytes the next time. Throws `E_NOT_FOUND` where it
 * is not there, `E_INTEGRITY` where it is another than its narinfo says, `E_UNSUPPORTED` where it cannot be read.
 */
export async function checkNar(
  objects: ObjectStore,
  info: NarInfo,
  pool: WorkerPool,
  onProgress: (bytes: number) => void = () => undefined,
): Promise<void> {
  const refusals: NarRefusal[] = [];
  const job = { type: 'check', promise: expectedNar(info) } as const;
  const how = { onProgress, weight: info.narSize };
  for (;;) {
    try {
      const file = localNar(objects, info);
      if (file !== undefined) await pool.run({ ...job, file }, how);
      else await pool.run(job, { ...how, source: (await openRequiredNar(objects, info)).bytes() });
      return;
    } catch (error) {
      if (!(error instanceof NarRefusal)) throw error;
      refusals.push(error);
      const isSure = error.found === 'as told' || error.code === 'E_UNSUPPORTED';
      if (isSure || refusals.length === objects.traits.maxReads) throw refusedNar(info, objects, refusals);
    }
  }
}
