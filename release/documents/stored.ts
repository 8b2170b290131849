/** One document: read and judged, written. */

import type * as v from 'valibot';
import { CarportError } from '../../lib/errors.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { PublicKey, SecretKey } from '../../lib/signing/key.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import { type DoubtAbout, damaged, doubtAbout, MISPLACED } from './doubt.js';
import type { DocumentPlace } from './places.js';
import {
  type DocumentKind,
  type DocumentOf,
  MAX_DOCUMENT,
  parseDocument,
  renderDocument,
  signerOf,
} from './signed-document.js';

/** What there is at a key. */
export type StoredDocument<Value> =
  | { readonly state: 'absent' }
  /** Without a signer where what is unsigned is believed. */
  | { readonly state: 'trusted'; readonly value: Value; readonly signer?: PublicKey }
  | { readonly state: 'doubtful'; readonly value: Value; readonly about: DoubtAbout }
  | { readonly state: 'damaged'; readonly about: DoubtAbout };

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
    const bytes = await objects.read(key, MAX_DOCUMENT);
    if (!bytes) return { state: 'absent' };
    const document = parseDocument(kind, bytes.toString('utf8'));
    const { value } = document;
    if (keyOf(value) !== key) return { state: 'doubtful', value, about: MISPLACED };
    const signer = signerOf(kind, document, policy.keys);
    if (signer) return { state: 'trusted', value, signer };
    const about = doubtAbout(kind, document, policy);
    return about ? { state: 'doubtful', value, about } : { state: 'trusted', value };
  } catch (error) {
    if (!(error instanceof CarportError) || error.code !== 'E_FORMAT') throw error;
    return { state: 'damaged', about: damaged(error.message) };
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
