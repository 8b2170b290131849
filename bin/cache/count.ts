/** Counts a cache for the commands that tell what it holds. */

import { join } from 'node:path';
import { openNarInfoMemory } from '../../cache/gc/narinfo-memory.js';
import { type CountedBucket, countBucket } from '../../cache/stats/session.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { stateDirectory } from '../../lib/state-directory.js';
import type { CommonOptions, Context } from '../cli/context.js';
import { withActivity } from '../reporters/activity.js';

/** Reads what a bucket holds, and remembers it for the next time. */
export async function count(
  objects: ObjectStore,
  options: CommonOptions,
  context: Context,
  signal: AbortSignal,
): Promise<CountedBucket> {
  const memory = await openNarInfoMemory(join(stateDirectory(context.env), 'narinfos'), objects.url);
  try {
    return await withActivity(context, options, ({ emit }) => countBucket(objects, { memory, emit, signal }));
  } finally {
    await memory.close();
  }
}
