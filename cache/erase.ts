/** What belongs to a cache, and its removal. */

import { CarportError, hasCode } from '../lib/errors.js';
import { asWritable, LIST_PAGE, type ReadStore, type WriteStore } from '../lib/object-store/object-store.js';
import { isRefusal } from '../lib/object-store/s3/refusal.js';
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

/**
 * Removes what was planned, and uploads that nobody finished. Gives why uploads stay where the server or the key refuses
 * that: they are no part of a cache. Throws `E_REMOTE` where the store goes on listing what was removed.
 */
export async function erase(
  objects: ReadStore,
  { keys }: ErasePlan,
  emit: Emit<ActivityEvent>,
): Promise<CarportError | undefined> {
  const store = asErasable(objects);
  emit({ type: 'started', verb: 'erase', unit: 'objects', items: keys.length });
  for (let at = 0; at < keys.length; at += LIST_PAGE) {
    const page = keys.slice(at, at + LIST_PAGE);
    await store.remove(page);
    emit({ type: 'progress', items: page.length });
  }
  if (keys.length > 0) await requireGone(store, new Set(keys));
  try {
    await store.removeUnfinished(NARS);
    return undefined;
  } catch (error) {
    if (isRefusal(error) || hasCode(error, 'E_REMOTE')) return error;
    throw error;
  }
}

/** A server says that it has removed also what it never had: by names that it does not list as they are. */
async function requireGone(store: WriteStore, keys: ReadonlySet<string>): Promise<void> {
  for await (const { key } of store.list({ recursive: true })) {
    if (!keys.has(key)) continue;
    throw new CarportError('E_REMOTE', `\`${key}\` is still in \`${store.url}\` after it was removed`, {
      hint: 'a push may run beside this: run it again; else see what the server keeps (locks, versions), or lists by other names than it has',
    });
  }
}

function asErasable(objects: ReadStore): WriteStore {
  return asWritable(objects, 'whose cache cannot be erased');
}
