/** What a bucket says of releases: files, documents, and which of these are believed. */

import { createHash } from 'node:crypto';
import type * as v from 'valibot';
import { mapAtMost } from '../../lib/concurrency.js';
import type { Notice } from '../../lib/notice.js';
import { type DocumentPlace, readTrusted } from '../../lib/object-store/documents.js';
import { type ListedObject, listObjects, type ObjectStore } from '../../lib/object-store/object-store.js';
import type { DocumentKind, DocumentOf } from '../../lib/signing/document.js';
import { renderPublicKey } from '../../lib/signing/key.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import { type Doubt, type DoubtAbout, type DoubtKind, noticeOfDoubt } from '../documents/doubt.js';
import {
  type Fragment,
  type Project,
  type Promotion,
  type Pruning,
  toReleaseTime,
  type Yank,
} from '../documents/kinds.js';
import { FRAGMENT_PLACE, PROMOTION_PLACE, PRUNING_PLACE, YANK_PLACE } from '../documents/places.js';
import { FILES, FRAGMENTS, PROMOTIONS, PRUNINGS, versionKey, YANKS } from '../layout.js';
import { EMPTY_LEDGER, type KnownDocument, type Ledger, readLedger } from './ledger.js';
import { believedOf, rememberSigned, type SeenDocument, type SignedDocuments } from './missing-documents.js';

/** An object below `_releases/`. Its key may be anything. */
export interface ListedFile {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** When it was last written: RFC 3339 in UTC, to the second. A second upload of the same bytes moves it. */
  readonly time: string;
}

/** A document as it was found. */
export interface Found<T> {
  readonly key: string;
  readonly value: T;
  /** Whether it may be believed: a trusted key signed it, or what is unsigned is taken, too. */
  readonly trusted: boolean;
}

/** All that a bucket says of releases, or of one version. */
export interface ReleaseSources {
  /** In the order of their keys. */
  readonly files: readonly ListedFile[];
  readonly fragments: readonly Found<Fragment>[];
  readonly yanks: readonly Found<Yank>[];
  readonly promotions: readonly Found<Promotion>[];
  readonly prunings: readonly Found<Pruning>[];
  /** Keys of documents that cannot be read: what they would say is not known. */
  readonly damaged: readonly string[];
  /** Keys of files that were signed, and whose fragment has gone. */
  readonly strippedKeys: ReadonlySet<string>;
  /** The newest time that an index has told of before. */
  readonly updatedBefore?: string;
  /** What the project said of itself when an index was published before. */
  readonly project?: Project;
  /** What is not believed, be it there or only remembered. */
  readonly doubts: readonly Doubt[];
  /** What people are to be told: the doubts in words, and what has gone. */
  readonly warnings: readonly Notice[];
}

/** What a store lists of releases, before any document is read. */
export interface SourceListing {
  readonly files: readonly ListedFile[];
  readonly fragments: readonly ListedDocument[];
  readonly yanks: readonly ListedDocument[];
  readonly promotions: readonly ListedDocument[];
  readonly prunings: readonly ListedDocument[];
  /** The same as that of another listing when both list the same writes; the same bytes written again are another. */
  readonly state: string;
}

interface ListedDocument {
  readonly key: string;
  /** Another one when the document has another content; empty when it was not listed. */
  readonly versionTag: string;
}

export interface ReadOptions {
  /** Whether the ledger of the bucket is read, too, which may be large: for one version only where this is said. */
  readonly withLedger?: boolean;
}

export interface ReadSources {
  readonly sources: ReleaseSources;
  /** For the next ledger. */
  readonly documents: SignedDocuments;
  /** The one that is there, if it is believed. */
  readonly ledger?: Ledger;
}

/** Reads sources again and again: the ledger once, and of documents those only that were written since. */
export interface SourceReader {
  list(): Promise<SourceListing>;
  read(listing: SourceListing): Promise<ReadSources>;
}

/** Of no key that is trusted, and damaged by nobody. */
const UNVERIFIED: ReadonlySet<DoubtKind> = new Set(['unsigned', 'stranger', 'gone']);

/** Documents that are read at a time. */
const AT_ONCE = 64;

/** Reads what a bucket says of its releases, or of one `version`. Throws when a listing or a document cannot be had. */
export async function readSources(
  objects: ObjectStore,
  policy: TrustPolicy,
  version?: string,
  options: ReadOptions = {},
): Promise<ReleaseSources> {
  const { list, read } = sourceReader(objects, policy, version, options);
  return (await read(await list())).sources;
}

/** What reads the sources for somebody who looks more than once. */
export function sourceReader(
  objects: ObjectStore,
  policy: TrustPolicy,
  version?: string,
  { withLedger = version === undefined }: ReadOptions = {},
): SourceReader {
  const reading = { objects, policy };
  const readFragments = documentReader(reading, FRAGMENT_PLACE);
  const readYanks = documentReader(reading, YANK_PLACE);
  const readPromotions = documentReader(reading, PROMOTION_PLACE);
  const readPrunings = documentReader(reading, PRUNING_PLACE);
  let ledgerRead: ReturnType<typeof readLedger> | undefined;
  return {
    list: () => listSources(objects, version),
    async read(listing) {
      ledgerRead ??= withLedger ? readLedger(objects, policy) : Promise.resolve({});
      const { ledger, doubt } = await ledgerRead;
      const known = ledger ?? EMPTY_LEDGER;
      const believed = believedOf(known, policy.keys);
      const [fragments, yanks, promotions, prunings] = await Promise.all([
        readFragments(listing.fragments, byKey(believed.fragments, FRAGMENT_PLACE.keyOf)),
        readYanks(listing.yanks, byKey(believed.yanks, YANK_PLACE.keyOf)),
        readPromotions(listing.promotions),
        readPrunings(listing.prunings),
      ]);
      const seen = { fragments: fragments.flatMap(seenOf), yanks: yanks.flatMap(seenOf) };
      const fileKeys = listing.files.map(({ key }) => key);
      const { documents, strippedKeys, ...remembered } = rememberSigned(known, policy, seen, fileKeys);
      const foundOfLedger = (trusted: boolean) => (value: Yank) => ({ key: YANK_PLACE.keyOf(value), value, trusted });
      const lost = remembered.yanks.map(foundOfLedger(true));
      const isLost = new Set(lost.map(({ key }) => key));
      const all = [...fragments, ...yanks, ...promotions, ...prunings];
      const isThere = new Set(all.map(({ key }) => key));
      const doubts = [
        ...(doubt ? [doubt] : []),
        ...all.flatMap((each) => (each.doubt ? [{ ...each.doubt, key: each.key }] : [])),
        ...remembered.doubts.filter(({ key }) => !isThere.has(key)),
      ];
      const sources = {
        files: listing.files,
        fragments: fragments.flatMap(foundOf),
        yanks: [
          ...yanks.flatMap(foundOf).filter((found) => !(found.trusted && isLost.has(found.key))),
          ...lost,
          ...remembered.strangersYanks.map(foundOfLedger(false)),
        ],
        promotions: promotions.flatMap(foundOf),
        prunings: prunings.flatMap(foundOf),
        damaged: all.flatMap(({ key, found }) => (found ? [] : [key])),
        strippedKeys,
        doubts,
        warnings: [...toldOf(doubts, policy).map(noticeOfDoubt), ...remembered.warnings],
        ...(typeof known.updated === 'string' && { updatedBefore: known.updated }),
        ...(known.project && { project: known.project }),
      };
      return { sources, documents, ...(ledger && { ledger }) };
    },
  };
}

/** The doubts to tell of. Whoever believes what is unsigned is told of no ledger that might be anybody's. */
function toldOf(doubts: readonly Doubt[], { allowUnsigned }: TrustPolicy): readonly Doubt[] {
  return allowUnsigned ? doubts.filter(({ kind }) => !UNVERIFIED.has(kind)) : doubts;
}

function byKey<T>(
  documents: readonly KnownDocument<T>[],
  keyOf: (value: T) => string,
): ReadonlyMap<string, KnownDocument<T>> {
  return new Map(documents.map((each) => [keyOf(each.value), each]));
}

/** What is known of a bucket of which only a listing is there. */
export function sourcesOfFiles(files: readonly ListedFile[]): ReleaseSources {
  return {
    ...{ files, fragments: [], yanks: [], promotions: [], prunings: [] },
    ...{ damaged: [], strippedKeys: new Set(), doubts: [], warnings: [] },
  };
}

/** Those that are believed. */
export function trusted<T>(found: readonly Found<T>[]): readonly T[] {
  return found.filter((each) => each.trusted).map(({ value }) => value);
}

async function listSources(objects: ObjectStore, version: string | undefined): Promise<SourceListing> {
  const below = (directory: string) => listAll(objects, version === undefined ? directory : `${directory}${version}/`);
  const about = async (directory: string): Promise<readonly ListedKey[]> =>
    version === undefined ? listAll(objects, directory) : [{ key: versionKey(directory, version) }];
  const all = await Promise.all([below(FILES), below(FRAGMENTS), about(YANKS), about(PROMOTIONS), about(PRUNINGS)]);
  const state = createHash('sha256');
  for (const each of all.flat() satisfies readonly ListedKey[]) {
    state.update(`${each.key}\n${each.modified?.getTime()} ${versionTagOf(each)}\n`);
  }
  const [files, fragments, yanks, promotions, prunings] = all;
  return {
    files: files.map(({ key, size, modified }) => ({ key, size, time: toReleaseTime(modified) })),
    fragments: fragments.map(toDocument),
    yanks: yanks.map(toDocument),
    promotions: promotions.map(toDocument),
    prunings: prunings.map(toDocument),
    state: state.digest('hex'),
  };
}

function toDocument(listed: ListedKey): ListedDocument {
  return { key: listed.key, versionTag: versionTagOf(listed) };
}

async function listAll(objects: ObjectStore, prefix: string): Promise<readonly ListedObject[]> {
  const listed: ListedObject[] = [];
  for await (const each of listObjects(objects, { prefix, recursive: true })) listed.push(each);
  return listed.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
}

/** With the key alone where it was not looked for. */
type ListedKey = Pick<ListedObject, 'key'> & Partial<ListedObject>;

/** Of an object that was listed: another one when it has another content. */
export function versionTagOf({ size, modified, md5 }: Partial<ListedObject>): string {
  return modified === undefined ? '' : `${size} ${md5 ?? modified.getTime()}`;
}

/** What is to be said of one document that was read. */
interface Judged<T> extends ListedDocument {
  /** Not there when it is damaged. */
  readonly found?: Found<T>;
  /** A key that signed it, as a ledger has it. */
  readonly signer?: string;
  /** Where it is not believed. */
  readonly doubt?: DoubtAbout;
}

function foundOf<T>({ found }: Judged<T>): readonly Found<T>[] {
  return found ? [found] : [];
}

/** Of one that is believed. */
function seenOf<T>({ versionTag, found, signer }: Judged<T>): readonly SeenDocument<T>[] {
  return found?.trusted ? [{ versionTag, value: found.value, ...(signer !== undefined && { signer }) }] : [];
}

/**
 * What reads documents of a kind; `known` are those that need not be read when they are listed as they were. What has
 * gone since it was listed is passed over.
 */
function documentReader<Entries extends v.ObjectEntries>(
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
