/** Keeps paths that are read from being collected. */

import { dirname } from 'node:path';
import type { PathInfo } from '../nix/path-info.js';
import { type LockOptions, withStoreUse } from './own/lock/lock.js';
import type { OwnStore } from './own/own-store.js';
import type { Store } from './store.js';

/**
 * Does work that reads or runs paths of a store. Those that carport's own store `own` has are kept from garbage
 * collections meanwhile, by the marker that the work is given; what Nix has, Nix keeps or not.
 */
export function withHeldPaths<T>(
  { store, own }: { readonly store: Pick<Store, 'realPath'>; readonly own: OwnStore | undefined },
  infos: Iterable<PathInfo>,
  work: (marker: string | undefined) => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  if (own === undefined) return work(undefined);
  const ours = [...infos].filter((info) => dirname(store.realPath(info)) === own.layout.realStoreDir);
  return ours.length === 0
    ? work(undefined)
    : withStoreUse(
        own,
        ours.map(({ path }) => path),
        work,
        options,
      );
}
