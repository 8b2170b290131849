import { createHash } from 'node:crypto';
import pLimit from 'p-limit';
import type * as v from 'valibot';
import { type ListedObject, listObjects, type ObjectStore } from '../cache/object-store/object-store.js';
import { CarportError } from '../lib/errors.js';
import type { TrustPolicy } from '../lib/signing/trust.js';
import {
  FRAGMENT,
  type Fragment,
  PROMOTION,
  PRUNING,
  type Promotion,
  type Pruning,
  toReleaseTime,
  YANK,
  type Yank,
} from './documents.js';
import { FILES, FRAGMENTS, fragmentKey, PROMOTIONS, PRUNINGS, versionKey, YANKS } from './layout.js';
import { type DocumentKind, type DocumentOf, MAX_DOCUMENT, parseDocument, verifyDocument } from './signed-document.js';

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
  /** What is not believed, and why. */
  readonly warnings: readonly string[];
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
  /** Another one when the document was written again; empty when it was not listed. */
  readonly stamp: string;
}

/** Reads sources again and again: of documents those only that were written since. */
export interface SourceReader {
  list(): Promise<SourceListing>;
  read(listing: SourceListing): Promise<ReleaseSources>;
}

/** Documents that are read at a time. */
const AT_ONCE = 64;

/** Reads what a bucket says of its releases, or of one `version`. Throws when a listing or a document cannot be had. */
export async function readSources(
  objects: ObjectStore,
  policy: TrustPolicy,
  version?: string,
): Promise<ReleaseSources> {
  const { list, read } = sourceReader(objects, policy, version);
  return read(await list());
}

/** The same for who looks more than once. */
export function sourceReader(objects: ObjectStore, policy: TrustPolicy, version?: string): SourceReader {
  const reading = { objects, policy };
  const fragments = documentReader(reading, FRAGMENT, (value) => fragmentKey(value.version, value.target));
  const yanks = documentReader(reading, YANK, (value) => versionKey(YANKS, value.version));
  const promotions = documentReader(reading, PROMOTION, (value) => versionKey(PROMOTIONS, value.version));
  const prunings = documentReader(reading, PRUNING, (value) => versionKey(PRUNINGS, value.version));
  return {
    list: () => listSources(objects, version),
    async read(listing) {
      const [fragment, yank, promotion, pruning] = await Promise.all([
        fragments(listing.fragments),
        yanks(listing.yanks),
        promotions(listing.promotions),
        prunings(listing.prunings),
      ]);
      const all = [...fragment, ...yank, ...promotion, ...pruning];
      return {
        files: listing.files,
        fragments: fragment.flatMap(foundOf),
        yanks: yank.flatMap(foundOf),
        promotions: promotion.flatMap(foundOf),
        prunings: pruning.flatMap(foundOf),
        damaged: all.flatMap(({ key, found }) => (found ? [] : [key])),
        warnings: all.flatMap(({ doubt }) => (doubt === undefined ? [] : [doubt])),
      };
    },
  };
}

/** What is known of a bucket of which only a listing is there. */
export function sourcesOfFiles(files: readonly ListedFile[]): ReleaseSources {
  return { files, fragments: [], yanks: [], promotions: [], prunings: [], damaged: [], warnings: [] };
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
  for (const listed of all) for (const each of listed) state.update(`${each.key}\n${stampOf(each)}\n`);
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
  return { key: listed.key, stamp: stampOf(listed) };
}

async function listAll(objects: ObjectStore, prefix: string): Promise<readonly ListedObject[]> {
  const listed: ListedObject[] = [];
  for await (const each of listObjects(objects, { prefix, recursive: true })) listed.push(each);
  return listed;
}

/** With the key alone where it was not looked for. */
type ListedKey = Pick<ListedObject, 'key'> & Partial<ListedObject>;

function stampOf({ size, modified, md5 = '' }: ListedKey): string {
  return modified === undefined ? '' : `${size} ${modified.getTime()} ${md5}`;
}

/** What is to be said of one document that was read. */
interface Judged<T> extends ListedDocument {
  /** Not there when it is damaged. */
  readonly found?: Found<T>;
  /** Why it is not believed. */
  readonly doubt?: string;
}

function foundOf<T>({ found }: Judged<T>): readonly Found<T>[] {
  return found ? [found] : [];
}

/**
 * What reads documents of a kind. `keyOf` tells where one belongs: elsewhere it is somebody's copy. What has gone since it
 * was listed is passed over.
 */
function documentReader<Entries extends v.ObjectEntries>(
  { objects, policy }: { readonly objects: ObjectStore; readonly policy: TrustPolicy },
  kind: DocumentKind<Entries>,
  keyOf: (value: DocumentOf<DocumentKind<Entries>>) => string,
) {
  type Document = Judged<DocumentOf<DocumentKind<Entries>>>;
  let known: ReadonlyMap<string, Document> = new Map();
  const judge = async ({ key, stamp }: ListedDocument): Promise<Document | undefined> => {
    const before = known.get(key);
    if (before && stamp !== '' && before.stamp === stamp) return before;
    const document = await readDocument(objects, kind, key).catch(ignoreDamage);
    if (document === undefined) return undefined;
    const told = (why: string) => `\`${key}\` is not believed: ${why}`;
    if (document instanceof CarportError) return { key, stamp, doubt: told(document.message) };
    const doubt = keyOf(document.value) === key ? doubtAbout(kind, document, policy) : 'it belongs elsewhere';
    const found = { key, value: document.value, trusted: doubt === undefined };
    return { key, stamp, found, ...(doubt !== undefined && { doubt: told(doubt) }) };
  };
  return async (listed: readonly ListedDocument[]): Promise<readonly Document[]> => {
    const limit = pLimit(AT_ONCE);
    const judged = await limit.map(listed, judge);
    const documents = judged.filter((each) => each !== undefined);
    known = new Map(documents.map((each) => [each.key, each]));
    return documents;
  };
}

/** A document of a bucket, unchecked but for its form; `undefined` when there is none. */
export async function readDocument<Entries extends v.ObjectEntries>(
  objects: ObjectStore,
  kind: DocumentKind<Entries>,
  key: string,
) {
  const bytes = await objects.read(key, MAX_DOCUMENT);
  return bytes && parseDocument(kind, bytes.toString('utf8'));
}

/** Why a document is not believed, if it is not. */
export function doubtAbout<Entries extends v.ObjectEntries>(
  kind: DocumentKind<Entries>,
  document: ReturnType<typeof parseDocument<Entries>>,
  policy: TrustPolicy,
): string | undefined {
  const verdict = verifyDocument(kind, document, policy.keys);
  if (verdict.state === 'invalid') return `the signature by \`${verdict.keyName}\` is wrong`;
  if (verdict.state === 'unsigned' && !policy.allowUnsigned) return 'no trusted key has signed it';
  return undefined;
}

function ignoreDamage(error: unknown): CarportError {
  if (error instanceof CarportError && error.code === 'E_FORMAT') return error;
  throw error;
}
