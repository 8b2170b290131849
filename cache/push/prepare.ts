/** Writes `nix-cache-info` before a push, or after it. */

import { CarportError } from '../../lib/errors.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { checkStoreDir, readCacheInfo, writeCacheInfo } from '../binary-cache.js';
import type { PushPlan } from './plan.js';
import { recordUpstreamKeys } from './upstream-keys.js';

/** Makes sure that a cache is for the store's paths; false where there is no cache yet. */
export async function checkCache(objects: ObjectStore, storeDir: string): Promise<boolean> {
  const info = await readCacheInfo(objects);
  if (info) checkStoreDir(objects, info.storeDir, storeDir);
  return info !== undefined;
}

/** Before a push: makes the cache where there is nothing, and writes down what others must not take to be there. */
export async function beginPush(objects: ObjectStore, storeDir: string, plan: PushPlan): Promise<void> {
  if (plan.upload.length + plan.sign.length > 0) await recordUpstreamKeys(objects, plan.skippedBy);
  if (plan.cacheInfo === 'write-first') await writeCacheInfo(objects, { storeDir });
}

/** After a push that succeeded: what was there before, and may have been incomplete, is now a cache. */
export async function finishPush(objects: ObjectStore, storeDir: string, plan: PushPlan): Promise<void> {
  if (plan.upload.length + plan.sign.length === 0 && plan.cacheInfo !== 'write-last') return;
  // Another push may have been faster, and its cache may have settings by now.
  if (await readCacheInfo(objects)) return;
  if (plan.cacheInfo === 'write-last') return writeCacheInfo(objects, { storeDir });
  throw new CarportError('E_INTEGRITY', `\`${objects.url}\` was erased during the push`, {
    cause: new Error('its description is not there any more, and some of what was pushed may be gone with it'),
    hint: 'when nobody erases it any more, push again with `--check-all`',
  });
}
