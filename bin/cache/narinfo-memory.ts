/** What narinfos of a cache said, remembered from one command to the next. */

import { join } from 'node:path';
import { type NarInfoMemory, NO_MEMORY, openNarInfoMemory } from '../../cache/gc/narinfo-memory.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { stateDirectory } from '../../lib/state-directory.js';
import type { Context } from '../cli/context.js';

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
