/** Documents about releases as they are read: whose they are, and whether they are believed. */

import type * as v from 'valibot';
import { mapAtMost } from '../../lib/concurrency.js';
import { type DocumentPlace, readTrusted } from '../../lib/object-store/documents.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { DocumentKind, DocumentOf } from '../../lib/signing/document.js';
import { renderPublicKey } from '../../lib/signing/key.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import type { DoubtAbout } from '../documents/doubt.js';
import type { KnownDocument } from './ledger.js';
import type { ListedDocument } from './listed.js';

/** A document as it was found. */
export interface Found<T> {
  readonly key: string;
  readonly value: T;
  /** Whether it may be believed: a trusted key signed it, or what is unsigned is taken, too. */
  readonly trusted: boolean;
}

/** What is to be said of one document that was read. */
export interface Judged<T> extends ListedDocument {
  /** Not there when it is damaged. */
  readonly found?: Found<T>;
  /** A key that signed it, as a ledger has it. */
  readonly signer?: string;
  /** Where it is not believed. */
  readonly doubt?: DoubtAbout;
}

/** Documents that are read at a time. */
const AT_ONCE = 64;

/**
 * What reads documents of a kind; `known` are those that need not be read when they are listed as they were. What has
 * gone since it was listed is passed over.
 */
export function documentReader<Entries extends v.ObjectEntries>(
  { objects, policy }: { readonly objects: ObjectStore; readonly policy: TrustPolicy },
  place: DocumentPlace<Entries>,
) {
  type Value = DocumentOf<DocumentKind<Entries>>;
  type Document = Judged<Value>;
  type Known = ReadonlyMap<string, KnownDocument<Value>>;
  let read: ReadonlyMap<string, Document> = new Map();
  /** One that need not be read. */
  const recall = (
    { key, versionTag }: ListedDocument,
    known: KnownDocument<Value> | undefined,
  ): Document | undefined => {
    if (versionTag === '') return undefined;
    const before = read.get(key);
    if (before?.versionTag === versionTag) return before;
    if (known?.versionTag !== versionTag) return undefined;
    return { key, versionTag, found: { key, value: known.value, trusted: true }, signer: known.signer };
  };
  const judge = async ({ key, versionTag }: ListedDocument): Promise<Document | undefined> => {
    const document = await readTrusted(objects, place, key, policy);
    if (document.state === 'absent') return undefined;
    if (document.state === 'damaged') return { key, versionTag, doubt: document.doubt };
    const { value } = document;
    if (document.state === 'doubtful') {
      return { key, versionTag, found: { key, value, trusted: false }, doubt: document.doubt };
    }
    const signer = document.signer && renderPublicKey(document.signer);
    return { key, versionTag, found: { key, value, trusted: true }, ...(signer !== undefined && { signer }) };
  };
  return async (listed: readonly ListedDocument[], known: Known = new Map()): Promise<readonly Document[]> => {
    const judged = await mapAtMost(AT_ONCE, listed, async (each) => recall(each, known.get(each.key)) ?? judge(each));
    const documents = judged.filter((each) => each !== undefined);
    read = new Map(documents.map((each) => [each.key, each]));
    return documents;
  };
}
