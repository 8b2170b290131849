/** Reads what a cache holds: what narinfos said is remembered from one command to the next. */

import { join } from 'node:path';
import type { CacheUrl } from '../../cache/cache-url.js';
import { type NarInfoMemory, NO_MEMORY, openNarInfoMemory } from '../../cache/gc/narinfo-memory.js';
import { type CountedBucket, countBucket } from '../../cache/stats/session.js';
import { CarportError } from '../../lib/errors.js';
import type { Inventory } from '../../lib/object-store/inventory.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { stateDirectory } from '../../lib/state-directory.js';
import type { CommonOptions, Context } from '../cli/context.js';
import { withActivity } from '../reporters/activity.js';

/** Works with what is remembered of a cache, and lets it go. */
export async function withNarInfoMemory<T>(
  { url }: ObjectStore,
  { env }: Context,
  work: (memory: NarInfoMemory) => Promise<T>,
): Promise<T> {
  const memory = await openNarInfoMemory(join(stateDirectory(env), 'narinfos'), url).catch(() => NO_MEMORY);
  try {
    return await work(memory);
  } finally {
    await memory.close();
  }
}

/** The inventory that was named, of the bucket that the cache is in. */
export async function inventoryOf(url: CacheUrl, manifest: string | undefined): Promise<Inventory | undefined> {
  if (manifest === undefined) return undefined;
  const { location } = url;
  if (location.kind !== 's3')
    throw new CarportError('E_USAGE', 'only buckets have an inventory: leave `--inventory` out');
  const { readInventory } = await import('../../lib/object-store/inventory.js');
  const inventory = await readInventory(manifest, location.prefix === '' ? '' : `${location.prefix}/`);
  if (inventory.bucket === location.bucket) return inventory;
  throw new CarportError(
    'E_USAGE',
    `\`${manifest}\` is of the bucket \`${inventory.bucket}\`, not of \`${location.bucket}\``,
  );
}

/** Reads what a bucket holds, and remembers it for the next time. */
export async function count(
  objects: ObjectStore,
  options: CommonOptions,
  context: Context,
  signal: AbortSignal,
  inventory?: Inventory,
): Promise<CountedBucket> {
  return withNarInfoMemory(objects, context, (memory) =>
    withActivity(context, options, ({ emit }) =>
      countBucket(objects, { memory, emit, signal, ...(inventory && { inventory }) }),
    ),
  );
}
