/** The record in a cache of the keys whose paths were left out of it. */

import { mapAtMost } from '../../lib/concurrency.js';
import { hasCode } from '../../lib/errors.js';
import { isListable, type ObjectStore } from '../../lib/object-store/object-store.js';
import { UPSTREAM_KEYS, upstreamKeyKey } from '../layout.js';

/** Name of the key of Nix's own cache, which every Nix trusts. */
export const NIXOS_KEY = 'cache.nixos.org-1';

/** In place of a key's name: paths were left out that another cache has, whoever signed them. No key's name has a space. */
export const OTHER_CACHES = 'other caches';

/** Records that are read at a time, and bytes of one. */
const AT_ONCE = 16;
const LIMIT = 64 * 1024;

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

/** Whether pushes have left paths out of this cache, so that what refers to them may be there without them. */
export async function leavesOut(objects: ObjectStore): Promise<boolean> {
  return (await allRecordedKeys(objects)).length > 0;
}

/** All names that are on record; of a web server only that of Nix's own cache is looked for. */
export async function allRecordedKeys(objects: ObjectStore): Promise<readonly string[]> {
  if (!isListable(objects)) return recordedUpstreamKeys(objects, [NIXOS_KEY]);
  const keys: string[] = [];
  for await (const { key } of objects.list({ prefix: UPSTREAM_KEYS, recursive: true })) keys.push(key);
  const names = await mapAtMost(AT_ONCE, keys, (key) => readRecord(objects, key));
  return names.filter((name) => name !== undefined);
}

/** The name that is on record at a key; `undefined` where that is no record. */
async function readRecord(objects: ObjectStore, key: string): Promise<string | undefined> {
  try {
    const json: unknown = JSON.parse((await objects.read(key, LIMIT))?.toString() ?? 'null');
    const name = typeof json === 'object' && json !== null && 'name' in json ? json.name : undefined;
    return typeof name === 'string' && upstreamKeyKey(name) === key ? name : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || hasCode(error, 'E_FORMAT', 'E_IO')) return undefined;
    throw error;
  }
}

/** Gives those of the names that are on record. */
export async function recordedUpstreamKeys(objects: ObjectStore, names: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(names.map((name) => objects.stat(upstreamKeyKey(name))));
  return names.filter((_, at) => found[at] !== undefined);
}
