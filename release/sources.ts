import pLimit from 'p-limit';
import type * as v from 'valibot';
import { listObjects, type ObjectStore } from '../cache/object-store/object-store.js';
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

/** Documents that are read at a time. */
const AT_ONCE = 64;

/** Reads what a bucket says of its releases, or of one `version`. Throws when a listing or a document cannot be had. */
export async function readSources(
  objects: ObjectStore,
  policy: TrustPolicy,
  version?: string,
): Promise<ReleaseSources> {
  const below = (directory: string) => (version === undefined ? directory : `${directory}${version}/`);
  const aboutVersion = async (directory: string) =>
    version === undefined ? listKeys(objects, directory) : [versionKey(directory, version)];
  const [files, fragments, yanks, promotions, prunings] = await Promise.all([
    listFiles(objects, below(FILES)),
    listKeys(objects, below(FRAGMENTS)).then((keys) =>
      readAll(objects, FRAGMENT, keys, policy, (value) => fragmentKey(value.version, value.target)),
    ),
    aboutVersion(YANKS).then((keys) =>
      readAll(objects, YANK, keys, policy, (value) => versionKey(YANKS, value.version)),
    ),
    aboutVersion(PROMOTIONS).then((keys) =>
      readAll(objects, PROMOTION, keys, policy, (value) => versionKey(PROMOTIONS, value.version)),
    ),
    aboutVersion(PRUNINGS).then((keys) =>
      readAll(objects, PRUNING, keys, policy, (value) => versionKey(PRUNINGS, value.version)),
    ),
  ]);
  const all = [fragments, yanks, promotions, prunings];
  return {
    files,
    fragments: fragments.found,
    yanks: yanks.found,
    promotions: promotions.found,
    prunings: prunings.found,
    damaged: all.flatMap(({ damaged }) => damaged),
    warnings: all.flatMap(({ warnings }) => warnings),
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

async function listFiles(objects: ObjectStore, prefix: string): Promise<readonly ListedFile[]> {
  const files: ListedFile[] = [];
  for await (const { key, size, modified } of listObjects(objects, { prefix, recursive: true })) {
    files.push({ key, size, time: toReleaseTime(modified) });
  }
  return files;
}

async function listKeys(objects: ObjectStore, prefix: string): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of listObjects(objects, { prefix, recursive: true })) keys.push(key);
  return keys;
}

interface ReadDocuments<T> {
  readonly found: readonly Found<T>[];
  readonly damaged: readonly string[];
  readonly warnings: readonly string[];
}

/** `keyOf` tells where a document belongs: elsewhere it is somebody's copy. What has gone since it was listed is passed over. */
async function readAll<Entries extends v.ObjectEntries>(
  objects: ObjectStore,
  kind: DocumentKind<Entries>,
  keys: readonly string[],
  policy: TrustPolicy,
  keyOf: (value: DocumentOf<DocumentKind<Entries>>) => string,
): Promise<ReadDocuments<DocumentOf<DocumentKind<Entries>>>> {
  const found: Found<DocumentOf<DocumentKind<Entries>>>[] = [];
  const damaged: string[] = [];
  const warnings: string[] = [];
  const limit = pLimit(AT_ONCE);
  const read = await Promise.all(
    keys.map((key) => limit(() => readDocument(objects, kind, key).catch((error) => ignoreDamage(error)))),
  );
  for (const [index, key] of keys.entries()) {
    const document = read[index];
    if (document === undefined) continue;
    if (document instanceof CarportError) {
      damaged.push(key);
      warnings.push(`\`${key}\` is not believed: ${document.message}`);
      continue;
    }
    const doubt = keyOf(document.value) === key ? doubtAbout(kind, document, policy) : 'it belongs elsewhere';
    if (doubt !== undefined) warnings.push(`\`${key}\` is not believed: ${doubt}`);
    found.push({ key, value: document.value, trusted: doubt === undefined });
  }
  return { found, damaged, warnings };
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
