/** What the commands of `cache` print alike. */

import type { CacheInfo } from '../../lib/nix/cache-info.js';
import { type KeyValue, keyValueLines } from '../cli/key-values.js';

/** Fits the longest name of a setting of a bucket. */
const WIDTH = 23;

/** What `nix-cache-info` says, as it is printed. */
export function infoJson({ storeDir, priority, wantMassQuery }: CacheInfo) {
  return { storeDir, priority: priority ?? null, wantMassQuery: wantMassQuery ?? null };
}

/** A line for each fact of a cache; `-` stands for what is not known. */
export function factLines(facts: Readonly<Record<string, KeyValue[1]>>): readonly string[] {
  return keyValueLines(
    Object.entries(facts).map(([key, value]) => [key, value ?? '-']),
    WIDTH,
  );
}
