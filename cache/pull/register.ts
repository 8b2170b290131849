/** Fetches the paths of a plan, many at a time, and registers each after its references. */

import { createLimit, inDependencyOrder } from '../../lib/concurrency.js';
import { removeTree } from '../../lib/filesystem/temporary.js';
import { type Fetched, type FetchOptions, fetchPath } from './fetch.js';
import { isSmall } from './nar-source.js';
import type { PullPlan } from './plan.js';

/**
 * Small NARs that are on their way at a time. A server far away answers late, but many at once; and Garage stalls an
 * answer of 3 to 64 KiB for 44 ms on a connection that was used before.
 */
const SMALL_FETCHES_AT_ONCE = 128;

/** What a pull has received. */
export interface PullTotals {
  /** Compressed bytes that were read. */
  readonly fileSize: number;
}

/**
 * Fetches what the plan says. A path gets its name when its NAR has the hash that was signed, and is registered after
 * its references, so every registered path is whole and so is its closure. The first failure, or the abort of `signal`,
 * stops what has not begun, and is thrown when what has is done.
 */
export async function fetchAndRegister(
  { fetch }: Pick<PullPlan, 'fetch'>,
  options: FetchOptions,
  signal: AbortSignal,
): Promise<PullTotals> {
  const { pool, receiver, emit } = options;
  const limit = createLimit(pool.capacity + 2);
  const ahead = createLimit(SMALL_FETCHES_AT_ONCE);
  const planned = new Map(fetch.map((each) => [each.info.path, each]));
  let fileSize = 0;

  const register = async (path: string, fetched: Fetched): Promise<void> => {
    try {
      if (fetched.temporary !== undefined) await receiver.place(fetched.temporary, fetched.info);
      else await receiver.register(fetched.info);
    } catch (error) {
      await discard(path, fetched);
      throw error;
    }
    fileSize += fetched.fileSize;
    emit({ type: 'path-finished', path, narSize: fetched.info.narSize, fileSize: fetched.fileSize });
  };
  const discard = async (_: string, { temporary }: Fetched): Promise<void> => {
    if (temporary !== undefined) await removeTree(temporary);
  };
  await inDependencyOrder(
    [...planned.keys()],
    (path) => planned.get(path)!.info.references,
    { prepare: (path) => fetchPath(planned.get(path)!, options), publish: register, discard },
    { prepare: (path) => (isSmall(planned.get(path)!) ? ahead : limit), signal },
  );
  return { fileSize };
}
