import { createHash } from 'node:crypto';
import { type ListedObject, listObjects, type ObjectStore } from '../cache/object-store/object-store.js';
import { CarportError } from '../lib/errors.js';
import type { TrustPolicy } from '../lib/signing/trust.js';
import type { Publication, PublishedAlias, PublishedFile } from './publication.js';
import { type ReleaseSources, type SourceListing, type SourceReader, sourceReader } from './sources.js';

export interface PublishOptions {
  readonly policy: TrustPolicy;
  /** Publish also when there is no release. */
  readonly allowEmpty: boolean;
  /** Change nothing, and tell what would change. */
  readonly dryRun: boolean;
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
 * Makes the index of a bucket, writes what differs of it in the order of its entries, and then removes what is out of date.
 * Nothing is written before all sources are read. `makePublication` gives the same for the same sources. Of runs that are at
 * work at once, none that knows older sources has the last word:
 * 1. Whoever has written anything lists the sources again, and begins anew when anything of them was written meanwhile.
 * 2. So a run that writes after the last change of the sources notices that change, and mends what it wrote without knowing it.
 * 3. All that list the sources after that change write the same bytes, and mend what was written before they looked.
 * One that is killed, or fails, may leave an older index; the next one mends it.
 */
export async function publishIndex(
  objects: ObjectStore,
  makePublication: (sources: ReleaseSources) => Publication,
  { policy, allowEmpty, dryRun }: PublishOptions,
): Promise<Published> {
  const reader = sourceReader(objects, policy);
  const changes = new Map<string, Change>();
  let latest = await reader.list();
  for (let rounds = 1; ; rounds++) {
    const { listing, sources } = await readSettled(reader, latest);
    const publication = makePublication(sources);
    if (publication.releases === 0 && !allowEmpty) throw noRelease(objects);
    const round = await publishOnce(objects, publication, dryRun);
    for (const [key, change] of round.changes) {
      changes.delete(key);
      changes.set(key, change);
    }
    const mayHaveChanged = !dryRun && round.changes.size + round.warnings.length > 0;
    const later = mayHaveChanged ? await reader.list() : listing;
    const isCurrent = later.state === listing.state;
    if (isCurrent || rounds === MAX_ROUNDS) {
      const late = isCurrent ? [] : [LATE];
      return { ...summaryOf(changes, round), rounds, warnings: [...publication.warnings, ...round.warnings, ...late] };
    }
    latest = later;
  }
}

/**
 * Reads until nothing was written while it read, if that comes to pass. Otherwise a promotion that ended meanwhile would show in
 * part: its files as they were listed before, and its mark gone.
 */
async function readSettled(
  reader: SourceReader,
  latest: SourceListing,
): Promise<{ readonly listing: SourceListing; readonly sources: ReleaseSources }> {
  let listing = latest;
  for (let reads = 1; ; reads++) {
    const sources = await reader.read(listing);
    const later = await reader.list();
    if (later.state === listing.state || reads === MAX_ROUNDS) return { listing, sources };
    listing = later;
  }
}

const LATE =
  'others go on changing the releases, and the index may not tell of the last changes: publish it again when they are done';

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
  readonly warnings: readonly string[];
}

function summaryOf(
  changes: ReadonlyMap<string, Change>,
  { keys }: Round,
): Pick<Published, 'written' | 'removed' | 'unchanged'> {
  const keysOf = (wanted: Change) => [...changes].flatMap(([key, change]) => (change === wanted ? [key] : []));
  const written = keysOf('written');
  return { written, removed: keysOf('removed'), unchanged: [...keys].filter((key) => !changes.has(key)).length };
}

async function publishOnce(objects: ObjectStore, publication: Publication, dryRun: boolean): Promise<Round> {
  const there = await listPublished(objects);
  const keys = new Set<string>();
  const changes = new Map<string, Change>();
  const warnings = new Set<string>();
  const write = async (entry: Entry): Promise<boolean> => {
    const listed = there.get(entry.key);
    if ('content' in entry) return writeFile(objects, entry, listed, dryRun);
    // Where one leads is known to the store alone, which tells it when it makes one.
    if (dryRun) return listed === undefined;
    const outcome = await writeAlias(objects, entry);
    if (typeof outcome === 'string') warnings.add(outcome);
    return outcome === true;
  };
  for (const batch of batchesOf(publication.entries)) {
    const written = await Promise.all(batch.map(write));
    for (const [index, { key }] of batch.entries()) {
      keys.add(key);
      if (written[index]) changes.set(key, 'written');
    }
  }
  const stale = [...there.keys()].filter((key) => !keys.has(key) && publication.owns(key));
  if (!dryRun && stale.length > 0) await objects.remove?.(stale);
  for (const key of stale) changes.set(key, 'removed');
  return { changes, keys, warnings: [...warnings] };
}

type Entry = PublishedFile | PublishedAlias;

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

/** Checksums of releases, of which there are very many, go together, and so do aliases; everything else goes alone. */
function* batchesOf(entries: Iterable<Entry>): Generator<readonly Entry[]> {
  let batch: Entry[] = [];
  let kind: EntryKind | undefined;
  for (const entry of entries) {
    const its = kindOf(entry);
    if (batch.length === AT_ONCE || (batch.length > 0 && its !== kind)) {
      yield batch;
      batch = [];
    }
    kind = its;
    if (kind === 'page') yield [entry];
    else batch.push(entry);
  }
  if (batch.length > 0) yield batch;
}

type EntryKind = 'alias' | 'sums' | 'page';

function kindOf(entry: Entry): EntryKind {
  if ('target' in entry) return 'alias';
  return /^releases\/[^/]+\/SHA256SUMS(\.minisig)?$/.test(entry.key) ? 'sums' : 'page';
}

/** Says whether it was not there with this content. */
async function writeFile(
  objects: ObjectStore,
  { key, content, contentType }: PublishedFile,
  listed: ListedObject | undefined,
  dryRun: boolean,
): Promise<boolean> {
  const bytes = Buffer.from(content);
  if (listed && (await hasContent(objects, listed, bytes))) return false;
  if (!dryRun) await objects.put(key, bytes, { contentType, cacheControl: 'no-cache' });
  return true;
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

/** Says whether it did not lead there before, or why it does not now. */
async function writeAlias(objects: ObjectStore, { key, target }: PublishedAlias): Promise<boolean | string> {
  if (!objects.alias)
    return `\`${objects.url}\` cannot lead from one key to another: there is no file below \`releases/latest/\``;
  try {
    return await objects.alias(key, target);
  } catch (error) {
    if (error instanceof CarportError && error.code === 'E_NOT_FOUND')
      return `\`${key}\` leads nowhere: \`${target}\` has gone`;
    throw error;
  }
}
