import { createHash } from 'node:crypto';
import pLimit from 'p-limit';
import { type ListedObject, listObjects, type ObjectStore } from '../cache/object-store/object-store.js';
import { CarportError } from '../lib/errors.js';
import type { SecretKey } from '../lib/signing/key.js';
import type { TrustPolicy } from '../lib/signing/trust.js';
import { LEDGER_KEY } from './layout.js';
import { isSameLedger, type KnownFile, renderLedger } from './ledger.js';
import { findForeignSignatures, isSignatureOf, refuseLosses } from './lost-signatures.js';
import type { Publication, PublishedCopy, PublishedFile } from './publication.js';
import {
  type ReadSources,
  type ReleaseSources,
  type SourceListing,
  type SourceReader,
  sourceReader,
  stampOf,
} from './sources.js';

export interface PublishOptions {
  readonly policy: TrustPolicy;
  /** Sign the ledger; without any none is written. */
  readonly keys: readonly SecretKey[];
  /** Publish also when there is no release. */
  readonly allowEmpty: boolean;
  /** Change nothing, and tell what would change. */
  readonly dryRun: boolean;
  /** Go on where something is not believed that is there, and so would not count any more. */
  readonly allowLost: boolean;
}

export interface Published {
  /** Keys, in the order in which they were last written. */
  readonly written: readonly string[];
  /** Keys at which nothing is to be any more. */
  readonly removed: readonly string[];
  /** How many keys were as they should be. */
  readonly unchanged: number;
  /** How often it was begun, as releases changed meanwhile. */
  readonly rounds: number;
  readonly warnings: readonly string[];
}

/** How often it is begun; who still finds something new then would never end. */
const MAX_ROUNDS = 10;

/**
 * Makes the index of a bucket, writes what differs of it in the order of its entries, removes what is out of date, and then
 * writes the ledger of all that.
 * Nothing is written before all sources are read, and nothing where something in them is not believed, or a signature in the
 * bucket is by a key that is not trusted (`E_SIGNATURE`): that would be lost. `makePublication` gives the same for the same
 * sources. Of runs that are at work at once, none that knows older sources has the last word:
 * 1. Whoever has written anything lists the sources again, and begins anew when anything of them was written meanwhile.
 * 2. So a run that writes after the last change of the sources notices that change, and mends what it wrote without knowing it.
 * 3. All that list the sources after that change write the same bytes, and mend what was written before they looked.
 * One that is killed, or fails, may leave an older index; the next one mends it. Of the ledgers of several the last one stays:
 * each is true, and what one does not tell of is read and made again.
 */
export async function publishIndex(
  objects: ObjectStore,
  makePublication: (sources: ReleaseSources) => Publication,
  { policy, keys, allowEmpty, dryRun, allowLost }: PublishOptions,
): Promise<Published> {
  const reader = sourceReader(objects, policy);
  const changes = new Map<string, Change>();
  let latest = await reader.list();
  for (let rounds = 1; ; rounds++) {
    const { listing, read, isSettled } = await readSettled(reader, latest);
    const publication = makePublication(read.sources);
    if (publication.releases === 0 && !allowEmpty) throw noRelease(objects);
    const there = await listPublished(objects);
    const before = { there, known: read.ledger?.published ?? new Map() };
    const isKnown = (listed: ListedObject) =>
      changes.has(listed.key) || (keys.length > 0 && before.known.get(listed.key)?.stamp === stampOf(listed));
    const signatures = [...there.values()].filter((each) => isSignatureOf(publication, each.key) && !isKnown(each));
    const signing = { trusted: policy.keys, signing: keys };
    const foreign = await findForeignSignatures(objects, signatures, signing);
    const losses = [...read.sources.doubts, ...foreign];
    const lost = refuseLosses(objects.url, losses, { allowLost, goesOn: 'publishes without them' });
    const round = await publishOnce(objects, publication, before, dryRun);
    for (const [key, change] of round.changes) {
      changes.delete(key);
      changes.set(key, change);
    }
    const mayHaveChanged = !dryRun && round.changes.size + round.warnings.length > 0;
    const later = mayHaveChanged ? await reader.list() : listing;
    const isCurrent = later.state === listing.state;
    if (isCurrent || rounds === MAX_ROUNDS) {
      const state = isSettled && isCurrent ? listing.state : null;
      if (!dryRun && keys.length > 0) await writeLedger(objects, { read, publication, round, state }, keys);
      if (!isCurrent) throw stillChanging(objects);
      const warnings = [...lost, ...publication.warnings, ...round.warnings];
      return { ...summaryOf(changes, round), rounds, warnings };
    }
    latest = later;
  }
}

/**
 * Reads until nothing was written while it read, if that comes to pass. Otherwise a promotion that ended meanwhile would show in
 * part: its files as they were listed before, and its mark gone. A listing that an index was made of so is not of such a time.
 */
async function readSettled(
  reader: SourceReader,
  latest: SourceListing,
): Promise<{ readonly listing: SourceListing; readonly read: ReadSources; readonly isSettled: boolean }> {
  let listing = latest;
  for (let reads = 1; ; reads++) {
    const read = await reader.read(listing);
    if (read.ledger?.state === listing.state) return { listing, read, isSettled: true };
    const later = await reader.list();
    const isSettled = later.state === listing.state;
    if (isSettled || reads === MAX_ROUNDS) return { listing, read, isSettled };
    listing = later;
  }
}

function stillChanging(objects: ObjectStore): CarportError {
  return new CarportError('E_UNAVAILABLE', `others go on changing the releases in \`${objects.url}\``, {
    cause: new Error('the index was published, and does not tell of the last changes'),
    hint: 'publish it again when they are done',
  });
}

function noRelease(objects: ObjectStore): CarportError {
  return new CarportError('E_NOT_FOUND', `\`${objects.url}\` has no release that an index could tell of`, {
    hint: 'see that it is the right bucket; `carport release put` publishes a release, and `--allow-empty` an index without one',
  });
}

type Change = 'written' | 'removed';

interface Round {
  /** By key. */
  readonly changes: ReadonlyMap<string, Change>;
  /** All of the publication. */
  readonly keys: ReadonlySet<string>;
  /** Files that were there, by their keys. */
  readonly known: ReadonlyMap<string, KnownFile>;
  /** Files that were written. */
  readonly fresh: readonly FreshFile[];
  readonly warnings: readonly string[];
}

interface FreshFile {
  readonly key: string;
  readonly fingerprint: string;
  readonly content: string;
}

function summaryOf(
  changes: ReadonlyMap<string, Change>,
  { keys }: Round,
): Pick<Published, 'written' | 'removed' | 'unchanged'> {
  const keysOf = (wanted: Change) => [...changes].flatMap(([key, change]) => (change === wanted ? [key] : []));
  const written = keysOf('written');
  return { written, removed: keysOf('removed'), unchanged: [...keys].filter((key) => !changes.has(key)).length };
}

/** What is there of an earlier index. */
interface PublishedBefore {
  readonly there: ReadonlyMap<string, ListedObject>;
  /** What the ledger knows of it. */
  readonly known: ReadonlyMap<string, KnownFile>;
}

async function publishOnce(
  objects: ObjectStore,
  publication: Publication,
  { there, known: knownBefore }: PublishedBefore,
  dryRun: boolean,
): Promise<Round> {
  const keys = new Set<string>();
  const changes = new Map<string, Change>();
  const known = new Map<string, KnownFile>();
  const fresh: FreshFile[] = [];
  const warnings = new Set<string>();
  const write = (entry: Entry): Promise<Outcome> => {
    const listed = there.get(entry.key);
    if ('content' in entry) return writeFile(objects, entry, listed, listed && knownBefore.get(entry.key), dryRun);
    return writeCopy(objects, entry, listed, dryRun);
  };
  for (const batch of batchesOf(publication.entries)) {
    const outcomes = await Promise.all(batch.map(write));
    for (const [index, { key }] of batch.entries()) {
      const outcome = outcomes[index]!;
      keys.add(key);
      if (outcome.change) changes.set(key, outcome.change);
      if (outcome.known) known.set(key, outcome.known);
      if (outcome.fresh) fresh.push(outcome.fresh);
      if (outcome.warning !== undefined) warnings.add(outcome.warning);
    }
  }
  const stale = [...there.keys()].filter((key) => !keys.has(key) && publication.owns(key));
  if (!dryRun && stale.length > 0) await objects.remove?.(stale);
  for (const key of stale) changes.set(key, 'removed');
  return { changes, keys, known, fresh, warnings: [...warnings] };
}

/** What has become of an entry. */
interface Outcome {
  readonly change?: Change;
  readonly known?: KnownFile;
  readonly fresh?: FreshFile;
  readonly warning?: string;
}

type Entry = PublishedFile | PublishedCopy;

/** Everything that may have been published is below one of these. */
const PUBLISHED = { directory: 'releases/', pages: '_releases.' } as const;

async function listPublished(objects: ObjectStore): Promise<ReadonlyMap<string, ListedObject>> {
  const there = new Map<string, ListedObject>();
  for (const options of [{ prefix: PUBLISHED.directory, recursive: true }, { prefix: PUBLISHED.pages }]) {
    for await (const listed of listObjects(objects, options)) there.set(listed.key, listed);
  }
  return there;
}

/** Entries that are written at a time, where their order does not matter. */
const AT_ONCE = 64;

/** Checksums of releases, of which there are very many, go together, and so do copies; everything else goes alone. */
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
  const signatures = batch.filter(({ key }) => key.endsWith('.minisig'));
  const others = batch.filter(({ key }) => !key.endsWith('.minisig'));
  return [signatures, others].filter((part) => part.length > 0);
}

type EntryKind = 'copy' | 'sums' | 'page';

function kindOf(entry: Entry): EntryKind {
  if ('source' in entry) return 'copy';
  return /^releases\/[^/]+\/SHA256SUMS(\.minisig)?$/.test(entry.key) ? 'sums' : 'page';
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
  if (before && listed && before.fingerprint === fingerprint && before.stamp === stampOf(listed)) {
    return { known: before };
  }
  const { content } = file;
  if (listed && (await hasContent(objects, listed, Buffer.from(content)))) {
    return { known: { fingerprint, stamp: stampOf(listed) } };
  }
  if (!dryRun) await objects.put(key, Buffer.from(content), { contentType, cacheControl: 'no-cache' });
  return { change: 'written', fresh: { key, fingerprint, content } };
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
  const there = await objects.read(key, bytes.length).catch((error) => {
    if (error instanceof CarportError && error.code === 'E_FORMAT') return undefined;
    throw error;
  });
  return there?.equals(bytes) === true;
}

/** Makes it where it is not there already. One that cannot be made is not that of an older release either. */
async function writeCopy(
  objects: ObjectStore,
  { key, source }: PublishedCopy,
  listed: ListedObject | undefined,
  dryRun: boolean,
): Promise<Outcome> {
  if (!objects.copyForReaders) {
    const warning = `\`${objects.url}\` cannot have an object under two keys: there is no file below \`releases/latest/\``;
    return { warning };
  }
  try {
    return (await objects.copyForReaders(source, key, { dryRun })) ? { change: 'written' } : {};
  } catch (error) {
    if (!(error instanceof CarportError)) throw error;
    if (error.code === 'E_NOT_FOUND') return { warning: `there is no \`${key}\`: \`${source}\` has gone` };
    if (error.code !== 'E_UNSUPPORTED') throw error;
    if (listed && !dryRun) await objects.remove?.([key]);
    return { ...(listed && { change: 'removed' }), warning: `there is no \`${key}\`: ${error.message}` };
  }
}

/** Writes what is known now, where it is not written already. */
async function writeLedger(
  objects: ObjectStore,
  { read, publication, round, state }: Publishing,
  keys: readonly SecretKey[],
): Promise<void> {
  const { sources, documents, ledger: before } = read;
  const published = new Map([...round.known, ...(await lookAgain(objects, round.fresh))]);
  const updated = publication.updated ?? sources.updatedBefore ?? null;
  const project = publication.project ?? before?.project;
  const ledger = { ...documents, published, updated, state, ...(project && { project }) };
  if (before && isSameLedger(before, ledger)) return;
  const metadata = { contentType: 'text/plain; charset=utf-8', cacheControl: 'no-cache' };
  await objects.put(LEDGER_KEY, Buffer.from(renderLedger(ledger, keys)), metadata);
}

/** What was published, and of what. */
interface Publishing {
  readonly read: ReadSources;
  readonly publication: Publication;
  readonly round: Round;
  /** Of the listing of sources, when nothing was written while it was read. */
  readonly state: string | null;
}

/** As what files are listed that were written just now; without those that others have written since. */
async function lookAgain(
  objects: ObjectStore,
  files: readonly FreshFile[],
): Promise<readonly (readonly [key: string, file: KnownFile])[]> {
  if (files.length === 0) return [];
  const there = await listPublished(objects);
  const found = await pLimit(AT_ONCE).map(files, async ({ key, fingerprint, content }) => {
    const listed = there.get(key);
    const isThere = listed && (await hasContent(objects, listed, Buffer.from(content)));
    return isThere ? [[key, { fingerprint, stamp: stampOf(listed) }] as const] : [];
  });
  return found.flat();
}
