import { dirname } from 'node:path';
import type { PathInfo } from '../nix/narinfo.js';
import { type ActivityOptions, withStoreUse } from './activity.js';
import type { OwnStore } from './own-store.js';
import type { Store } from './store.js';

/**
 * Does work that reads paths of a store. Those that carport's own store `own` has are kept from garbage collections
 * meanwhile; what Nix has, Nix keeps or not.
 */
export function keepingPaths<T>(
  { store, own }: { readonly store: Store; readonly own: OwnStore | undefined },
  infos: Iterable<PathInfo>,
  work: () => Promise<T>,
  options: ActivityOptions = {},
): Promise<T> {
  if (own === undefined) return work();
  const ours = [...infos].filter((info) => dirname(store.realPath(info)) === own.layout.realStoreDir);
  return ours.length === 0
    ? work()
    : withStoreUse(
        own,
        ours.map(({ path }) => path),
        work,
        options,
      );
}
