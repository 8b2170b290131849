/** The record in a cache of the keys whose paths were left out of it. */

import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { upstreamKeyKey } from '../layout.js';

const METADATA = { contentType: 'application/json' } as const;

/**
 * Records names of keys whose paths a push leaves out of this cache. A narinfo does not vouch for those paths. There is an
 * object for each, so that two pushes do not overwrite each other's.
 */
export async function recordUpstreamKeys(objects: ObjectStore, names: readonly string[]): Promise<void> {
  await Promise.all(
    names.map((name) => objects.put(upstreamKeyKey(name), Buffer.from(`${JSON.stringify({ name })}\n`), METADATA)),
  );
}

/** Gives those of the names that are on record. */
export async function recordedUpstreamKeys(objects: ObjectStore, names: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(names.map((name) => objects.stat(upstreamKeyKey(name))));
  return names.filter((_, at) => found[at] !== undefined);
}
