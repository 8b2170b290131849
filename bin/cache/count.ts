/** Counts a cache for the commands that tell what it holds. */

import { type CountedBucket, countBucket } from '../../cache/stats/session.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { CommonOptions, Context } from '../cli/context.js';
import { withActivity } from '../reporters/activity.js';
import { withNarInfoMemory } from './narinfo-memory.js';

/** Reads what a bucket holds, and remembers it for the next time. */
export async function count(
  objects: ObjectStore,
  options: CommonOptions,
  context: Context,
  signal: AbortSignal,
): Promise<CountedBucket> {
  return withNarInfoMemory(objects, context, (memory) =>
    withActivity(context, options, ({ emit }) => countBucket(objects, { memory, emit, signal })),
  );
}
