/** Which paths of a closure other caches have, so that they need not be pushed. */

import { mapAtMost } from '../../lib/concurrency.js';
import { insteadOf } from '../../lib/errors.js';
import type { PathGraph } from '../../lib/nix/closure.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { readNarInfo } from '../binary-cache.js';
import { saySame } from '../signatures.js';

/** Narinfos that are asked for at a time. */
const QUERIES_AT_ONCE = 64;

/** The paths of which a cache has a narinfo for the same content. Whoever names the cache trusts it to have them. */
export async function pathsIn(objects: ObjectStore, graph: PathGraph): Promise<readonly string[]> {
  const found = await mapAtMost(QUERIES_AT_ONCE, graph.values(), async (info) => {
    // Of a narinfo that is damaged nobody has the path.
    const there = await readNarInfo(objects, hashPartOf(info.path)).catch(insteadOf('E_INTEGRITY', undefined));
    return there && saySame(there, info) ? [info.path] : [];
  });
  return found.flat();
}
