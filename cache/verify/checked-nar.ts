/** Reads the whole NAR of a path, and compares it with what its narinfo says. */

import { NarRefusal } from '../../lib/compression/nar-refusal.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { CheckResult } from '../../lib/workers/jobs.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { expectedNar } from '../binary-cache.js';
import { localNar, openRequiredNar } from '../nars.js';
import { isRefusedForGood, refusedNar } from '../refused-nar.js';

/** Has a worker read a NAR: of a file of this machine, or as it comes. */
export type ReadNar<T> = (
  from: { readonly file: string } | { readonly source: AsyncIterable<Uint8Array> },
) => Promise<T>;

/**
 * Has the NAR of a path read, as often as the store may give other bytes the next time. Throws `E_NOT_FOUND` where it is not
 * there, `E_INTEGRITY` where it is another than its narinfo says, `E_UNSUPPORTED` where it cannot be read.
 */
export async function readNar<T>(objects: ObjectStore, info: NarInfo, read: ReadNar<T>): Promise<T> {
  const refusals: NarRefusal[] = [];
  for (;;) {
    try {
      const file = localNar(objects, info);
      return await read(file === undefined ? { source: (await openRequiredNar(objects, info)).bytes() } : { file });
    } catch (error) {
      if (!(error instanceof NarRefusal)) throw error;
      refusals.push(error);
      if (isRefusedForGood(objects, refusals)) throw refusedNar(info, objects, refusals);
    }
  }
}

/** How a NAR is checked. */
export interface NarCheck {
  /** Told of bytes of NAR. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  /** Whether to make its listing, too. */
  readonly listing?: boolean;
}

/** Has a worker read the whole NAR of a path, and compare it with what its narinfo says; throws as `readNar` does. */
export async function checkNar(
  objects: ObjectStore,
  info: NarInfo,
  pool: WorkerPool,
  { onProgress = () => undefined, listing = false }: NarCheck = {},
): Promise<CheckResult> {
  const job = { type: 'check', promise: expectedNar(info), listing } as const;
  const how = { onProgress, weight: info.narSize };
  return readNar(objects, info, (from) =>
    'file' in from ? pool.run({ ...job, ...from }, how) : pool.run(job, { ...how, ...from }),
  );
}
