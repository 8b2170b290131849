/** What belongs to a cache, and its removal. */

import { CarportError } from '../lib/errors.js';
import { LIST_PAGE, listObjects, type ObjectStore } from '../lib/object-store/object-store.js';
import type { ActivityEvent, Emit } from '../lib/work.js';
import { hashPartOfKey } from './binary-cache.js';

export interface ErasePlan {
  /** What belongs to the cache, in the order in which it is removed. */
  readonly keys: readonly string[];
  readonly size: number;
  /** Objects that are no part of a cache, and stay. */
  readonly others: number;
}

/** Directories of a binary cache, and of what carport keeps beside it. Releases are not part of the cache. */
const DIRECTORIES =
  /^(nar|log|debuginfo|realisations|build-trace-v2|carport\/(pins|leases|sweeps|skips|stats|tmp))\/|^[^/]{32}\.ls$/;

/**
 * Finds what a cache consists of. `nix-cache-info` goes first, so that readers see no cache rather than part of one; then
 * the narinfos, then what they point to.
 */
export async function planErase(objects: ObjectStore): Promise<ErasePlan> {
  checkErasable(objects);
  const [info, narInfos, rest]: [string[], string[], string[]] = [[], [], []];
  let [size, others] = [0, 0];
  for await (const object of listObjects(objects, { recursive: true })) {
    const { key } = object;
    if (key === 'nix-cache-info') info.push(key);
    else if (hashPartOfKey(key) !== undefined) narInfos.push(key);
    else if (DIRECTORIES.test(key)) rest.push(key);
    else {
      others++;
      continue;
    }
    size += object.size;
  }
  return { keys: [...info, ...narInfos, ...rest], size, others };
}

/** Removes what was planned, and uploads that nobody finished. */
export async function erase(objects: ObjectStore, { keys }: ErasePlan, emit: Emit<ActivityEvent>): Promise<void> {
  checkErasable(objects);
  emit({ type: 'started', verb: 'erase', unit: 'objects', items: keys.length });
  for (let at = 0; at < keys.length; at += LIST_PAGE) {
    const page = keys.slice(at, at + LIST_PAGE);
    await objects.remove(page);
    emit({ type: 'progress', items: page.length });
  }
  await objects.removeUnfinished?.('nar/');
}

type Erasable = ObjectStore & Required<Pick<ObjectStore, 'remove'>>;

function checkErasable(objects: ObjectStore): asserts objects is Erasable {
  if (objects.remove) return;
  throw new CarportError('E_UNSUPPORTED', `\`${objects.url}\` is a web server, whose cache cannot be erased`, {
    hint: "use the cache's `s3://` or `file://` URL",
  });
}
