/** Signed documents in a store: read and judged, put where they belong, listed. */

import type * as v from 'valibot';
import { hasCode } from '../errors.js';
import {
  type DocumentDoubt,
  type DocumentKind,
  type DocumentOf,
  judgeDocument,
  MAX_DOCUMENT,
  parseDocument,
  renderDocument,
  type SignedDocument,
  signDocument,
  signerOf,
} from '../signing/document.js';
import type { PublicKey, SecretKey } from '../signing/key.js';
import { signatureKeyName } from '../signing/signature.js';
import type { TrustPolicy } from '../signing/trust.js';
import { listObjects, type ObjectStore } from './object-store.js';

/** A kind of document, and where each belongs: elsewhere it is somebody's copy. */
export interface DocumentPlace<Entries extends v.ObjectEntries> {
  readonly kind: DocumentKind<Entries>;
  readonly keyOf: (value: DocumentOf<DocumentKind<Entries>>) => string;
}

/** What there is at a key. */
export type StoredDocument<Value> =
  | { readonly state: 'absent' }
  /** Without a signer where what is unsigned is believed. */
  | { readonly state: 'trusted'; readonly value: Value; readonly signer?: PublicKey }
  | { readonly state: 'doubtful'; readonly value: Value; readonly doubt: DocumentDoubt }
  | { readonly state: 'damaged'; readonly doubt: DocumentDoubt };

/** Documents change: readers and proxies ask whether theirs is still the one. */
const METADATA = { contentType: 'application/json', cacheControl: 'no-cache' } as const;

/** What names of documents end with in a listing. */
const ENDING = '.json';

/**
 * Reads the document at a key, unchecked but for its form; `undefined` when there is none. Throws `E_FORMAT` for what is not
 * of this kind.
 */
export async function readDocument<Entries extends v.ObjectEntries>(
  objects: ObjectStore,
  kind: DocumentKind<Entries>,
  key: string,
): Promise<SignedDocument<DocumentOf<DocumentKind<Entries>>> | undefined> {
  const bytes = await objects.read(key, kind.maxBytes ?? MAX_DOCUMENT);
  return bytes && parseDocument(kind, bytes.toString('utf8'));
}

/** Why a document that was read at a key is not believed: it belongs elsewhere, or its signatures do not make it so. */
export function judgeStored<Entries extends v.ObjectEntries>(
  { kind, keyOf }: DocumentPlace<Entries>,
  key: string,
  document: SignedDocument<DocumentOf<DocumentKind<Entries>>>,
  policy: TrustPolicy,
): DocumentDoubt | undefined {
  return keyOf(document.value) === key ? judgeDocument(kind, document, policy) : { kind: 'misplaced' };
}

/** Reads the document at a key, and says whether it may be believed. */
export async function readTrusted<Entries extends v.ObjectEntries>(
  objects: ObjectStore,
  place: DocumentPlace<Entries>,
  key: string,
  policy: TrustPolicy,
): Promise<StoredDocument<DocumentOf<DocumentKind<Entries>>>> {
  try {
    const document = await readDocument(objects, place.kind, key);
    if (!document) return { state: 'absent' };
    const { value } = document;
    const isInPlace = place.keyOf(value) === key;
    const signer = isInPlace ? signerOf(place.kind, document, policy.keys) : undefined;
    if (signer) return { state: 'trusted', value, signer };
    const doubt = judgeStored(place, key, document, policy);
    return doubt ? { state: 'doubtful', value, doubt } : { state: 'trusted', value };
  } catch (cause) {
    if (!hasCode(cause, 'E_FORMAT')) throw cause;
    return { state: 'damaged', doubt: { kind: 'damaged', cause } };
  }
}

/** Writes a document with the signatures that it has where it belongs. */
export async function putDocument<Entries extends v.ObjectEntries>(
  objects: ObjectStore,
  { kind, keyOf }: DocumentPlace<Entries>,
  document: SignedDocument<DocumentOf<DocumentKind<Entries>>>,
): Promise<void> {
  await objects.put(keyOf(document.value), Buffer.from(renderDocument(kind, document)), METADATA);
}

/** Signs a value with each of the keys, and writes it where it belongs. */
export function putSigned<Entries extends v.ObjectEntries>(
  objects: ObjectStore,
  place: DocumentPlace<Entries>,
  value: DocumentOf<DocumentKind<Entries>>,
  keys: readonly SecretKey[],
): Promise<void> {
  return putDocument(objects, place, signDocument(place.kind, value, keys));
}

/** Whose signatures documents are to have, and whose not any more. */
export interface Resigning {
  /** Each of them signs. */
  readonly keys: readonly SecretKey[];
  /** Who may have signed before: what nobody of them has signed is not signed again. */
  readonly trust: TrustPolicy;
  /** Names of keys whose signatures are taken off. */
  readonly remove: readonly string[];
}

/** What became of a document that was to be signed again. */
export type Resigned = 'signed' | 'as it was' | DocumentDoubt | { readonly kind: 'last-signature' };

/**
 * Signs a document again where it is, if somebody who is trusted has signed it; `undefined` when there is none. Signatures are
 * taken off only where one of another trusted key stays. With `dryRun` it says what it would do.
 */
export async function resignDocument<Entries extends v.ObjectEntries>(
  objects: ObjectStore,
  place: DocumentPlace<Entries>,
  key: string,
  { keys, trust, remove, dryRun = false }: Resigning & { readonly dryRun?: boolean },
): Promise<Resigned | undefined> {
  const document = await readDocument(objects, place.kind, key).catch((cause) => {
    if (hasCode(cause, 'E_FORMAT')) return { kind: 'damaged', cause } as const;
    throw cause;
  });
  if (document === undefined || 'kind' in document) return document;
  const doubt = judgeStored(place, key, document, { ...trust, allowUnsigned: false });
  if (doubt) return doubt;
  const replaced = [...keys.map(({ name }) => name), ...remove];
  const others = document.signatures.filter((text) => !replaced.includes(signatureKeyName(text)));
  const signatures = [...others, ...signDocument(place.kind, document.value, keys).signatures].sort();
  const resigned = { value: document.value, signatures };
  const staying = trust.keys.filter(({ name }) => !remove.includes(name));
  if (!signerOf(place.kind, resigned, staying)) return { kind: 'last-signature' };
  if (signatures.join() === [...document.signatures].sort().join()) return 'as it was';
  if (!dryRun) await putDocument(objects, place, resigned);
  return 'signed';
}

/** Where a document of this name is in a directory; the directory ends with `/`. */
export function documentKey(directory: string, name: string): string {
  return `${directory}${name}${ENDING}`;
}

/** Names of the documents that lie in a directory, sorted. Throws `E_UNSUPPORTED` where the store cannot be listed. */
export async function listDocumentNames(objects: ObjectStore, directory: string): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of listObjects(objects, { prefix: directory })) keys.push(key);
  return documentNames(keys, directory);
}

/** Names of those documents among keys that lie in a directory, sorted. */
export function documentNames(keys: readonly string[], directory: string): readonly string[] {
  const names = keys.filter((key) => key.startsWith(directory) && key.endsWith(ENDING));
  // Keys are sorted with their ending: `a-b.json` stands before `a.json`.
  return names.map((key) => key.slice(directory.length, -ENDING.length)).sort();
}
