/** Puts an index into its bucket: what it is made of, whether it may be, and whether that is current. */

import { CarportError } from '../../lib/errors.js';
import type { Notice } from '../../lib/notice.js';
import { asWritable, type ListedObject, type ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { ActivityEvent, Emit } from '../../lib/work.js';
import { LEDGER_KEY } from '../layout.js';
import { isSameLedger, renderLedger } from '../sources/ledger.js';
import { type SourceListing, versionTagOf } from '../sources/listed.js';
import { type ReadSources, type ReleaseSources, type SourceReader, sourceReader } from '../sources/sources.js';
import { type Change, listPublished, lookAgain, type Round, writeEntries } from './entries.js';
import { type IndexSigning, isSignatureOf, refuseLostIndex } from './lost-signatures.js';
import type { Publication } from './publication.js';

/** Without any key no ledger is written. */
export interface PublishOptions extends IndexSigning {
  /** Publish also when there is no release. */
  readonly allowEmpty: boolean;
  /** Change nothing, and tell what would change. */
  readonly dryRun: boolean;
  readonly emit?: Emit<ActivityEvent>;
}

export interface Published<Made extends Publication = Publication> {
  /** What was published last. */
  readonly publication: Made;
  /** Keys, in the order in which they were last written. */
  readonly written: readonly string[];
  /** Keys at which nothing is to be any more. */
  readonly removed: readonly string[];
  /** How many keys were as they should be. */
  readonly unchanged: number;
  /** How often it was begun, as releases changed meanwhile. */
  readonly rounds: number;
  readonly warnings: readonly Notice[];
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
export async function publishIndex<Made extends Publication>(
  objects: ObjectStore,
  makePublication: (sources: ReleaseSources) => Made,
  options: PublishOptions,
): Promise<Published<Made>> {
  const { keys, allowEmpty, dryRun, emit = () => undefined } = options;
  const reader = sourceReader(objects, options.policy);
  const changes = new Map<string, Change>();
  let latest = await reader.list();
  const store = asWritable(objects, 'where nothing can be removed');
  for (let rounds = 1; ; rounds++) {
    const { listing, read, isSettled } = await readSettled(reader, latest);
    const publication = makePublication(read.sources);
    if (publication.releases === 0 && !allowEmpty) throw noRelease(objects);
    const there = await listPublished(objects);
    const before = { there, known: read.ledger?.published ?? new Map() };
    const isKnown = (listed: ListedObject) =>
      changes.has(listed.key) || (keys.length > 0 && before.known.get(listed.key)?.versionTag === versionTagOf(listed));
    const signatures = [...there.values()].filter((each) => isSignatureOf(publication, each.key) && !isKnown(each));
    const index = { objects, where: objects.url, signatures, sources: read.sources };
    const lost = await refuseLostIndex(index, options, 'publishes without them');
    const round = await writeEntries(store, publication, before, { dryRun, emit });
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
      return { publication, ...summaryOf(changes, round), rounds, warnings };
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

function summaryOf(
  changes: ReadonlyMap<string, Change>,
  { keys }: Round,
): Pick<Published, 'written' | 'removed' | 'unchanged'> {
  const keysOf = (wanted: Change) => [...changes].flatMap(([key, change]) => (change === wanted ? [key] : []));
  const written = keysOf('written');
  return { written, removed: keysOf('removed'), unchanged: [...keys].filter((key) => !changes.has(key)).length };
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
