/** Intents: a signed document that a version is being made of another, which hides it until it is whole. */

import { putSigned, readTrusted, type StoredDocument } from '../lib/object-store/documents.js';
import type { ObjectStore, WriteStore } from '../lib/object-store/object-store.js';
import type { SecretKey } from '../lib/signing/key.js';
import type { TrustPolicy } from '../lib/signing/trust.js';
import type { Promotion } from './documents/kinds.js';
import { PROMOTION_PLACE } from './documents/places.js';
import { PROMOTIONS, versionKey } from './layout.js';

/** Reads the intent of a version, and says whether it may be believed. */
export function readIntent(
  objects: ObjectStore,
  version: string,
  policy: TrustPolicy,
): Promise<StoredDocument<Promotion>> {
  return readTrusted(objects, PROMOTION_PLACE, versionKey(PROMOTIONS, version), policy);
}

/** Writes an intent, in place of one that is there. */
export function writeIntent(objects: ObjectStore, intent: Promotion, keys: readonly SecretKey[]): Promise<void> {
  return putSigned(objects, PROMOTION_PLACE, intent, keys);
}

/** Removes the intent of a version: what is there of it is in the index from then on. */
export function removeIntent(store: WriteStore, version: string): Promise<void> {
  return store.remove([versionKey(PROMOTIONS, version)]);
}
