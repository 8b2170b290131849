/** Entries of the store dir that are not registered. */

import { isThere, namesIn } from '../../filesystem/exists.js';
import { isTemporaryName } from '../../filesystem/temporary.js';
import type { PathGraph } from '../../nix/closure.js';
import { hashPartOf, isStoreBaseName } from '../../nix/store-path.js';
import type { OwnStore } from './own-store.js';
import { type OwnershipRecord, readOwnershipRecords } from './ownership-records.js';

/** Names of entries of a store dir that are not registered, sorted. */
export interface Unregistered {
  /** carport put them there: a run was killed, or they were given up. */
  readonly ours: readonly string[];
  /** Nothing says where they are from. */
  readonly others: readonly string[];
  readonly records: readonly OwnershipRecord[];
}

/** Entries of the store dir that are not registered; none where Nix has its paths there, too. */
export async function unregisteredEntries(store: OwnStore, registered: PathGraph): Promise<Unregistered> {
  const { layout, storeDir } = store;
  const records = await readOwnershipRecords(layout);
  if (!(await isThere(layout.infoDir)) || (await isThere(layout.nixStateDir))) return { ours: [], others: [], records };
  const claimed = new Map(records.map(({ hashPart, info }) => [hashPart, info?.path]));
  const isOurs = (name: string): boolean => {
    if (!isStoreBaseName(name) || !claimed.has(hashPartOf(name))) return false;
    const path = claimed.get(hashPartOf(name));
    return path === undefined || path === `${storeDir}/${name}`;
  };
  const names = (await namesIn(layout.realStoreDir)).filter(
    (name) => !isTemporaryName(name) && !isOfSystem(name) && !registered.has(`${storeDir}/${name}`),
  );
  return { ours: names.filter(isOurs), others: names.filter((name) => !isOurs(name)), records };
}

/** What file systems and Nix keep there for themselves. */
function isOfSystem(name: string): boolean {
  return name === 'lost+found' || name === '.links';
}
