/** The caches of a pull: in which order they are asked, and whether they are caches at all. */

import { CarportError, hasCode, insteadOf } from '../../lib/errors.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { checkStoreDir, requireCacheInfo } from '../binary-cache.js';
import { NOT_WHAT_WAS_WANTED } from '../find-path.js';

/** Caches in the order in which they are asked. */
export interface AskedCaches {
  readonly caches: readonly ObjectStore[];
  /** Does what asks them; where that comes to nothing since one is no cache, or one of another store dir, it fails with that. */
  readonly explain: <T>(work: Promise<T>) => Promise<T>;
}

/**
 * One that is alone is asked what it is when something does not fit, and not before: each narinfo says of which store dir it is, and there
 * is no order. That is a request less. A directory of this machine answers at once.
 */
export async function askedCaches(
  given: readonly ObjectStore[],
  storeDir: string,
  emit: Emit<WarningEvent>,
): Promise<AskedCaches> {
  const [alone, ...others] = given;
  if (alone === undefined || others.length > 0 || alone.traits.isImmediate) {
    return { caches: await orderCaches(given, storeDir, emit), explain: (work) => work };
  }
  return {
    caches: given,
    async explain(work) {
      try {
        return await work;
      } catch (error) {
        if (!hasCode(error, ...NOT_WHAT_WAS_WANTED)) throw error;
        const asked = requireCacheOf(alone, storeDir);
        // A server that does not answer now has said that it is not there, unless what it has said was of no use either.
        await (hasCode(error, 'E_NOT_FOUND') ? asked.catch(insteadOf('E_UNAVAILABLE', undefined)) : asked);
        throw error;
      }
    },
  };
}

/**
 * By priority, the lower first, then as given. One that does not answer, or is no cache, is passed over with a warning while there is
 * another.
 */
async function orderCaches(
  caches: readonly ObjectStore[],
  storeDir: string,
  emit: Emit<WarningEvent>,
): Promise<readonly ObjectStore[]> {
  const asked = await Promise.allSettled(
    caches.map(async (objects) => {
      const { priority = 0 } = await requireCacheOf(objects, storeDir);
      return { objects, priority };
    }),
  );
  const good = asked.filter((result) => result.status === 'fulfilled').map(({ value }) => value);
  const failed = asked.filter((result) => result.status === 'rejected').map(({ reason }) => reason as unknown);
  for (const reason of failed) {
    if (good.length === 0 || !(reason instanceof CarportError)) throw reason;
    emit({ type: 'warning', message: `${reason.message}; going on without it` });
  }
  return good.sort((a, b) => a.priority - b.priority).map(({ objects }) => objects);
}

async function requireCacheOf(objects: ObjectStore, storeDir: string) {
  const info = await requireCacheInfo(objects);
  checkStoreDir(objects, info.storeDir, storeDir);
  return info;
}
