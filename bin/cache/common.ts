/** What the commands of `cache` share. */

import type { OpenCache } from '../../cache/open.js';
import type { CacheInfo } from '../../lib/nix/cache-info.js';
import { settingsOf } from '../cli/command.js';
import type { CommonOptions, Context } from '../cli/context.js';
import { cacheUse, withCache } from '../cli/with-caches.js';
import type { Settings } from '../settings/settings.js';

/** Opens the cache of a command line for as long as `work` takes. */
export async function useCache<T>(
  text: string,
  options: CommonOptions,
  context: Context,
  work: (cache: OpenCache, settings: Settings) => Promise<T>,
): Promise<T> {
  const settings = await settingsOf({ ...options }, context);
  return withCache(text, cacheUse(settings, options, context), (cache) => work(cache, settings));
}

/** What `nix-cache-info` says, as it is printed. */
export function infoJson({ storeDir, priority, wantMassQuery }: CacheInfo) {
  return { storeDir, priority: priority ?? null, wantMassQuery: wantMassQuery ?? null };
}

/** One value a line. */
export function rows(shown: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(shown).map(([key, value]) => `${`${key}:`.padEnd(23)}${value ?? '-'}`);
}
