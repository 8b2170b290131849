/** On record in the cache: keys whose paths were left out. */

import type { ObjectStore } from '../../lib/object-store/object-store.js';

/**
 * Names of keys whose paths some push has left out of this cache. A narinfo does not vouch for those paths. There is an
 * object for each, so that two pushes do not overwrite each other's.
 */
const DIRECTORY = 'carport/skips';

const METADATA = { contentType: 'application/json' } as const;

export async function recordUpstreamKeys(objects: ObjectStore, names: readonly string[]): Promise<void> {
  await Promise.all(
    names.map((name) => objects.put(skipKey(name), Buffer.from(`${JSON.stringify({ name })}\n`), METADATA)),
  );
}

/** Those of the names that are on record. */
export async function recordedUpstreamKeys(objects: ObjectStore, names: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(names.map((name) => objects.stat(skipKey(name))));
  return names.filter((_, at) => found[at] !== undefined);
}

/** A name may hold any character. */
function skipKey(name: string): string {
  return `${DIRECTORY}/${Buffer.from(name).toString('hex')}.json`;
}
