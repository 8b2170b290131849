/** Tombstones: a signed document that a version is out of the index, and will be deleted. */

import { putSigned, readTrusted, type StoredDocument } from '../lib/object-store/documents.js';
import type { ObjectStore, WriteStore } from '../lib/object-store/object-store.js';
import type { SecretKey } from '../lib/signing/key.js';
import type { TrustPolicy } from '../lib/signing/trust.js';
import type { Pruning } from './documents/kinds.js';
import { PRUNING_PLACE } from './documents/places.js';
import { PRUNINGS, versionKey } from './layout.js';

/** Reads the tombstone of a version, and says whether it may be believed. */
export function readTombstone(
  objects: ObjectStore,
  version: string,
  policy: TrustPolicy,
): Promise<StoredDocument<Pruning>> {
  return readTrusted(objects, PRUNING_PLACE, versionKey(PRUNINGS, version), policy);
}

/** Writes a tombstone, in place of one that is there. */
export function writeTombstone(objects: ObjectStore, tombstone: Pruning, keys: readonly SecretKey[]): Promise<void> {
  return putSigned(objects, PRUNING_PLACE, tombstone, keys);
}

/** Removes the tombstones of versions: what is there of these is in the index from then on. */
export function removeTombstones(store: WriteStore, versions: readonly string[]): Promise<void> {
  return store.remove(versions.map((version) => versionKey(PRUNINGS, version)));
}
