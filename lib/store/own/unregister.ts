/** Takes registrations away, referrers first. */

import { topologicalOrder } from '../../nix/closure.js';
import { hashPartOf } from '../../nix/store-path.js';
import type { Registrations } from './metadata.js';
import type { OwnStore } from './own-store.js';
import { createUnregister } from './ownership-records.js';

/**
 * Takes away the registration of paths that no other registered path refers to. Each goes before those that it refers
 * to: at every instant, and after a kill, what is registered has its closure. Do this within `withStoreCollection`.
 */
export async function unregister({ layout }: Pick<OwnStore, 'layout'>, paths: Registrations): Promise<void> {
  const unregisterPath = await createUnregister(layout);
  for (const { path } of [...topologicalOrder(paths)].reverse()) {
    await unregisterPath(hashPartOf(path), paths.get(path)!.found);
  }
}
