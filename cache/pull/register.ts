/** Fetches the paths of a plan, many at a time, and registers each after its references. */

import pLimit from 'p-limit';
import { removeTree } from '../../lib/filesystem/temporary.js';
import type { FoundPath } from '../find-path.js';
import { type FetchOptions, fetchPath } from './fetch.js';
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
  const failure = new AbortController();
  const stop = AbortSignal.any([failure.signal, signal]);
  const limit = pLimit(pool.capacity + 2);
  const ahead = pLimit(SMALL_FETCHES_AT_ONCE);
  let fileSize = 0;

  const registered = new Map<string, Promise<void>>();
  const take = async (planned: FoundPath): Promise<void> => {
    const { path, narSize } = planned.info;
    const references = planned.info.references.filter((reference) => reference !== path);
    const fetched = await (isSmall(planned) ? ahead : limit)(() => {
      stop.throwIfAborted();
      return fetchPath(planned, options);
    });
    try {
      await Promise.all(references.map((reference) => registered.get(reference)));
      stop.throwIfAborted();
      if (fetched.temporary !== undefined) await receiver.place(fetched.temporary, fetched.info);
      else await receiver.register(fetched.info);
    } catch (error) {
      if (fetched.temporary !== undefined) await removeTree(fetched.temporary);
      throw error;
    }
    fileSize += fetched.fileSize;
    emit({ type: 'path-finished', path, narSize, fileSize: fetched.fileSize });
  };
  for (const planned of fetch) {
    const done = take(planned);
    done.catch((error) => failure.abort(error));
    registered.set(planned.info.path, done);
  }
  await Promise.allSettled(registered.values());
  stop.throwIfAborted();
  return { fileSize };
}
