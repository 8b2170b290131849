/** The files and copies of an index in its bucket: writes those that differ, and takes away what is out of date. */

import { createHash } from 'node:crypto';
import { mapAtMost } from '../../lib/concurrency.js';
import { hasCode, insteadOf } from '../../lib/errors.js';
import { aboutKey, type Notice } from '../../lib/notice.js';
import {
  type ListedObject,
  listObjects,
  type ObjectStore,
  type WriteStore,
} from '../../lib/object-store/object-store.js';
import type { ActivityEvent, Emit } from '../../lib/work.js';
import {
  INDEX,
  isSignatureKey,
  isSimpleKey,
  isSimpleProjectKey,
  PAGES,
  parseSumsKey,
  ROOT_PAGE,
  SIMPLE_PREFIX,
} from '../layout.js';
import type { KnownFile } from '../sources/ledger.js';
import { versionTagOf } from '../sources/listed.js';
import type { Publication, PublishedCopy, PublishedFile } from './publication.js';

/** What becomes of a key. */
export type Change = 'written' | 'removed';

/** What has been done for a publication. */
export interface Round {
  /** By key. */
  readonly changes: ReadonlyMap<string, Change>;
  /** All of the publication. */
  readonly keys: ReadonlySet<string>;
  /** Files that were there, by their keys. */
  readonly known: ReadonlyMap<string, KnownFile>;
  /** Files that were written. */
  readonly fresh: readonly FreshFile[];
  readonly warnings: readonly Notice[];
}

export interface FreshFile {
  readonly key: string;
  readonly fingerprint: string;
  readonly content: string;
}

/** What is there of an earlier index. */
export interface PublishedBefore {
  readonly there: ReadonlyMap<string, ListedObject>;
  /** What the ledger knows of it. */
  readonly known: ReadonlyMap<string, KnownFile>;
}

/** How entries are written. */
export interface WriteOptions {
  readonly dryRun: boolean;
  readonly emit: Emit<ActivityEvent>;
}

/** Writes what differs of a publication, in the order of its entries, and removes what is out of date. */
export async function writeEntries(
  objects: WriteStore,
  publication: Publication,
  { there, known: knownBefore }: PublishedBefore,
  { dryRun, emit }: WriteOptions,
): Promise<Round> {
  const keys = new Set<string>();
  const changes = new Map<string, Change>();
  const known = new Map<string, KnownFile>();
  const fresh: FreshFile[] = [];
  const warnings = new Map<string, Notice>();
  const write = (entry: Entry): Promise<Outcome> => {
    const listed = there.get(entry.key);
    if ('content' in entry) return writeFile(objects, entry, listed, listed && knownBefore.get(entry.key), dryRun);
    return writeCopy(objects, entry, listed, dryRun);
  };
  emit({ type: 'started', verb: 'publish', unit: 'files' });
  for (const batch of batchesOf(publication.entries)) {
    const outcomes = await Promise.all(batch.map(write));
    for (const [index, { key }] of batch.entries()) {
      const outcome = outcomes[index]!;
      keys.add(key);
      if (outcome.change) changes.set(key, outcome.change);
      if (outcome.known) known.set(key, outcome.known);
      if (outcome.fresh) fresh.push(outcome.fresh);
      if (outcome.warning) warnings.set(outcome.warning.message, outcome.warning);
    }
    emit({ type: 'progress', items: batch.length });
  }
  const stale = await staleKeys(objects, publication, keys, there);
  if (!dryRun && stale.length > 0) await objects.remove(stale);
  for (const key of stale) changes.set(key, 'removed');
  return { changes, keys, known, fresh, warnings: [...warnings.values()] };
}

/** What there is of an earlier index, and is not wanted any more. */
async function staleKeys(
  objects: ObjectStore,
  publication: Publication,
  wanted: ReadonlySet<string>,
  there: PublishedBefore['there'],
): Promise<readonly string[]> {
  const keys = [...there.keys()].filter((key) => !wanted.has(key) && publication.owns(key));
  const isOurs = await mapAtMost(AT_ONCE, keys, async (key) => {
    const isOwn = publication.recognizes?.(key);
    return isOwn === undefined || hasOwn(objects, key, isOwn);
  });
  return keys.filter((_, index) => isOurs[index]);
}

/** What has become of an entry. */
interface Outcome {
  readonly change?: Change;
  readonly known?: KnownFile;
  readonly fresh?: FreshFile;
  readonly warning?: Notice;
}

type Entry = PublishedFile | PublishedCopy;

/** What there is of an index, by key. */
export async function listPublished(objects: ObjectStore): Promise<ReadonlyMap<string, ListedObject>> {
  const there = new Map<string, ListedObject>();
  const simple = { prefix: SIMPLE_PREFIX, recursive: true };
  for (const options of [{ prefix: INDEX, recursive: true }, simple, { prefix: PAGES }, { prefix: ROOT_PAGE }]) {
    for await (const listed of listObjects(objects, options)) {
      if (options !== simple || isSimpleKey(listed.key)) there.set(listed.key, listed);
    }
  }
  return there;
}

/** Entries that are written at a time, where their order does not matter. */
const AT_ONCE = 64;

/** Checksums of releases, of which there are very many, go together, and so do copies and pages of projects; everything else goes alone. */
function* batchesOf(entries: Iterable<Entry>): Generator<readonly Entry[]> {
  let batch: Entry[] = [];
  let kind: EntryKind | undefined;
  for (const entry of entries) {
    const its = kindOf(entry);
    if (batch.length === AT_ONCE || (batch.length > 0 && its !== kind)) {
      yield* inOrder(batch);
      batch = [];
    }
    kind = its;
    if (kind === 'page') yield [entry];
    else batch.push(entry);
  }
  yield* inOrder(batch);
}

/** Signatures before what they are of: who finds the new file finds its signature, too. */
function inOrder(batch: readonly Entry[]): readonly (readonly Entry[])[] {
  const signatures = batch.filter(({ key }) => isSignatureKey(key));
  const others = batch.filter(({ key }) => !isSignatureKey(key));
  return [signatures, others].filter((part) => part.length > 0);
}

type EntryKind = 'copy' | 'sums' | 'project' | 'page';

function kindOf(entry: Entry): EntryKind {
  if ('source' in entry) return 'copy';
  if (isSimpleProjectKey(entry.key)) return 'project';
  return parseSumsKey(entry.key) ? 'sums' : 'page';
}

/** Where it is listed as `before` its content is neither compared nor, perhaps, even made. */
async function writeFile(
  objects: ObjectStore,
  file: PublishedFile,
  listed: ListedObject | undefined,
  before: KnownFile | undefined,
  dryRun: boolean,
): Promise<Outcome> {
  const { key, contentType } = file;
  const fingerprint = file.fingerprint ?? hashOf(file);
  if (before && listed && before.fingerprint === fingerprint && before.versionTag === versionTagOf(listed)) {
    return { known: before };
  }
  const { content } = file;
  if (listed && (await hasContent(objects, listed, Buffer.from(content)))) {
    return { known: { fingerprint, versionTag: versionTagOf(listed) } };
  }
  if (listed && file.mayReplace && !(await hasOwn(objects, key, file.mayReplace))) return { warning: otherPage(key) };
  if (!dryRun) await objects.put(key, Buffer.from(content), { contentType, cacheControl: 'no-cache' });
  return { change: 'written', fresh: { key, fingerprint, content } };
}

/** More bytes than any page of ours has. */
const LARGEST_PAGE = 16 * 1024 * 1024;

/** Whether what is there is ours, or nothing is. What is too large is not. */
async function hasOwn(objects: ObjectStore, key: string, isOwn: (there: Buffer) => boolean): Promise<boolean> {
  const there = await objects.read(key, LARGEST_PAGE).catch(insteadOf('E_FORMAT', Buffer.alloc(0)));
  return there === undefined || isOwn(there);
}

function otherPage(key: string): Notice {
  if (key !== ROOT_PAGE) {
    const how = 'move it away, or `--simple-index never` makes none';
    return aboutKey(key, `\`${key}\` is another page, and stays as it is: ${how}`);
  }
  const how = '`--index-html replace` puts the page of releases there, `--index-html none` says no more of it';
  return aboutKey(key, `\`${key}\` is another page, and stays as it is: ${how}`);
}

function hashOf(file: PublishedFile): string {
  const hash = createHash('sha256');
  for (const piece of file.pieces?.() ?? [file.content]) hash.update(piece);
  return hash.digest('base64url');
}

async function hasContent(objects: ObjectStore, { key, size, md5 }: ListedObject, bytes: Buffer): Promise<boolean> {
  if (size !== bytes.length) return false;
  if (md5 === createHash('md5').update(bytes).digest('hex')) return true;
  // What is listed as one is no MD5 where objects are encrypted.
  const there = await objects.read(key, bytes.length).catch(insteadOf('E_FORMAT', undefined));
  return there?.equals(bytes) === true;
}

/** Makes it where it is not there already. One that cannot be made is not that of an older release either. */
async function writeCopy(
  objects: WriteStore,
  { key, source }: PublishedCopy,
  listed: ListedObject | undefined,
  dryRun: boolean,
): Promise<Outcome> {
  try {
    return (await objects.alias(source, key, { dryRun })) ? { change: 'written' } : {};
  } catch (error) {
    if (hasCode(error, 'E_NOT_FOUND'))
      return { warning: aboutKey(key, `there is no \`${key}\`: \`${source}\` has gone`) };
    if (!hasCode(error, 'E_UNSUPPORTED')) throw error;
    if (listed && !dryRun) await objects.remove([key]);
    return { ...(listed && { change: 'removed' }), warning: aboutKey(key, `there is no \`${key}\`: ${error.message}`) };
  }
}

/** As what files are listed that were written just now; without those that others have written since. */
export async function lookAgain(
  objects: ObjectStore,
  files: readonly FreshFile[],
): Promise<readonly (readonly [key: string, file: KnownFile])[]> {
  if (files.length === 0) return [];
  const there = await listPublished(objects);
  const found = await mapAtMost(AT_ONCE, files, async ({ key, fingerprint, content }) => {
    const listed = there.get(key);
    const isThere = listed && (await hasContent(objects, listed, Buffer.from(content)));
    return isThere ? [[key, { fingerprint, versionTag: versionTagOf(listed) }] as const] : [];
  });
  return found.flat();
}
