import type * as v from 'valibot';
import type { ObjectStore } from '../cache/object-store/object-store.js';
import { CarportError } from '../lib/errors.js';
import type { SecretKey } from '../lib/signing/key.js';
import type { TrustPolicy } from '../lib/signing/trust.js';
import type { DocumentPlace } from './document-places.js';
import { type DoubtAbout, doubtAbout, MISPLACED } from './doubt.js';
import { type DocumentKind, type DocumentOf, renderDocument } from './signed-document.js';
import { readDocument } from './sources.js';

/** What there is at a key. Of what is not `trusted` it is said why. */
export type StoredDocument<Value> =
  | { readonly state: 'absent' }
  | { readonly state: 'trusted'; readonly value: Value }
  | { readonly state: 'doubtful'; readonly value: Value; readonly why: string; readonly about: DoubtAbout }
  | { readonly state: 'damaged'; readonly why: string };

/** Documents change: readers and proxies ask whether theirs is still the one. */
const METADATA = { contentType: 'application/json', cacheControl: 'no-cache' } as const;

/** Reads the document at a key, and says whether it may be believed. */
export async function readTrusted<Entries extends v.ObjectEntries>(
  objects: ObjectStore,
  { kind, keyOf }: DocumentPlace<Entries>,
  key: string,
  policy: TrustPolicy,
): Promise<StoredDocument<DocumentOf<DocumentKind<Entries>>>> {
  try {
    const document = await readDocument(objects, kind, key);
    if (!document) return { state: 'absent' };
    const { value } = document;
    const about = keyOf(value) === key ? doubtAbout(kind, document, policy) : MISPLACED;
    return about ? { state: 'doubtful', value, why: about.why, about } : { state: 'trusted', value };
  } catch (error) {
    if (!(error instanceof CarportError) || error.code !== 'E_FORMAT') throw error;
    return { state: 'damaged', why: error.message };
  }
}

/** Writes a document where it belongs. */
export async function putDocument<Entries extends v.ObjectEntries>(
  objects: ObjectStore,
  { kind, keyOf }: DocumentPlace<Entries>,
  value: DocumentOf<DocumentKind<Entries>>,
  keys: readonly SecretKey[],
): Promise<void> {
  await objects.put(keyOf(value), Buffer.from(renderDocument(kind, value, keys)), METADATA);
}
