/** What belongs to a cache, and its removal. */

import { asWritable, LIST_PAGE, type ReadStore, type WriteStore } from '../lib/object-store/object-store.js';
import type { ActivityEvent, Emit } from '../lib/work.js';
import { CACHE_INFO_KEY, hashPartOfKey, isKeyOfCache, NARS } from './layout.js';

export interface ErasePlan {
  /** What belongs to the cache, in the order in which it is removed. */
  readonly keys: readonly string[];
  readonly size: number;
  /** Objects that are no part of a cache, and stay. */
  readonly others: number;
}

/**
 * Finds what a cache consists of. `nix-cache-info` goes first, so that readers see no cache rather than part of one; then
 * the narinfos, then what they point to.
 */
export async function planErase(objects: ReadStore): Promise<ErasePlan> {
  const store = asErasable(objects);
  const [info, narInfos, rest]: [string[], string[], string[]] = [[], [], []];
  let [size, others] = [0, 0];
  for await (const object of store.list({ recursive: true })) {
    const { key } = object;
    if (key === CACHE_INFO_KEY) info.push(key);
    else if (hashPartOfKey(key) !== undefined) narInfos.push(key);
    else if (isKeyOfCache(key)) rest.push(key);
    else {
      others++;
      continue;
    }
    size += object.size;
  }
  return { keys: [...info, ...narInfos, ...rest], size, others };
}

/** Removes what was planned, and uploads that nobody finished. */
export async function erase(objects: ReadStore, { keys }: ErasePlan, emit: Emit<ActivityEvent>): Promise<void> {
  const store = asErasable(objects);
  emit({ type: 'started', verb: 'erase', unit: 'objects', items: keys.length });
  for (let at = 0; at < keys.length; at += LIST_PAGE) {
    const page = keys.slice(at, at + LIST_PAGE);
    await store.remove(page);
    emit({ type: 'progress', items: page.length });
  }
  await store.removeUnfinished(NARS);
}

function asErasable(objects: ReadStore): WriteStore {
  return asWritable(objects, 'whose cache cannot be erased');
}
