/** Hides them, deletes them, brings them back. */

import { mapAtMost } from '../../lib/concurrency.js';
import { CarportError } from '../../lib/errors.js';
import { listObjects, type ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import { isSigned } from '../documents/doubt.js';
import { type Pruning, toReleaseTime } from '../documents/kinds.js';
import { FRAGMENTS, PRUNINGS, versionKey, YANKS } from '../layout.js';
import { type RemovableStore, readPruningMark, removePruningMarks, writePruningMark } from '../marks.js';
import { refuseLosses } from '../publish/lost-signatures.js';
import { type ReleaseSources, type SourceReader, sourceReader, trusted } from '../sources/sources.js';
import type { ChannelRule } from '../version.js';
import { readPinnedPaths } from './pinned-paths.js';
import {
  type HeldVersion,
  holdByVersion,
  type IndexedRelease,
  type PrunedRelease,
  type PrunePlan,
  type PruneRules,
  type PruningMark,
  planPruning,
} from './plan.js';
import { readPublishedVersions } from './published-versions.js';

/** What a pruning asks of those who know the index. */
export interface PruneRequest extends PruneRules {
  readonly policy: TrustPolicy;
  /** Releases in the order of the index, also hidden ones; versions that `latest` leads to; and the rule of channels. */
  readonly look: (sources: ReleaseSources) => {
    readonly channelOf: ChannelRule;
    readonly releases: readonly IndexedRelease[];
    readonly latest: ReadonlySet<string>;
  };
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Go on where others have signed something. */
  readonly allowLost: boolean;
}

/** One thing that was done. What was not done since the release has changed meanwhile is `left`. */
export interface PruneStep {
  readonly action: 'restore' | 'hide' | 'delete' | 'left';
  readonly release: PrunedRelease;
}

/** What is to be done, and what sees whether it still is. */
export interface PlannedPruning {
  readonly plan: PrunePlan;
  readonly warnings: readonly string[];
  readonly reader: SourceReader;
}

/** Marks that are read or written at a time. */
const AT_ONCE = 64;

/** Releases that are worked on before it is looked again what there is. */
const TURN = 2000;

/** Reads what the bucket holds, and plans. Throws when something is damaged that might keep a release. */
export async function planPrune(objects: ObjectStore, request: PruneRequest): Promise<PlannedPruning> {
  requireRemovable(objects);
  const { policy, look, now, allowLost } = request;
  const reader = sourceReader(objects, policy);
  // Marks first: one that is gone when the releases are read is not taken for one that is there.
  const written = await listMarks(objects);
  const [sources, pinned, published] = await Promise.all([
    readNow(reader),
    readPinnedPaths(objects),
    readPublishedVersions(objects),
  ]);
  requireUndamaged(objects, sources);
  const lost = refuseLosses(objects.url, sources.doubts.filter(isSigned), {
    allowLost,
    goesOn: 'prunes as if nobody had signed them',
  });
  const marks = trusted(sources.prunings).flatMap((mark): readonly PruningMark[] => {
    const modified = written.get(versionKey(PRUNINGS, mark.version));
    return modified ? [{ ...mark, modified }] : [];
  });
  const plan = planPruning({ ...look(sources), sources, marks, pinned, published, now }, request);
  return { plan, warnings: [...lost, ...sources.warnings], reader };
}

/**
 * Does what was planned, and tells each step when it is done. Before a release is hidden for good, and before it is deleted,
 * its mark is written and then the releases are read again; whoever puts a release writes it, then reads the mark, and
 * writes its fragment anew before the mark is removed. So one of the two sees the other, and the release stays.
 */
export async function* prune(
  objects: ObjectStore,
  { plan, reader }: PlannedPruning,
  { policy, now }: PruneRequest,
  keys: readonly SecretKey[],
): AsyncGenerator<PruneStep> {
  requireRemovable(objects);
  const work: Work = { objects, policy, keys, reader };
  const time = toReleaseTime(new Date(now));
  const left = new Set<PrunedRelease>();
  for (const releases of turnsOf(plan.restore)) yield* told('restore', releases, await restore(work, releases));
  for (const releases of turnsOf(plan.hide)) {
    const done = await hide(work, releases, time);
    for (const release of releases) if (!done.has(release)) left.add(release);
    yield* told('hide', releases, done);
  }
  // Without a grace some were hidden just now.
  const markOf = ({ version, mark }: PrunedRelease) => mark ?? { version, time };
  for (const releases of turnsOf(plan.delete.filter((release) => !left.has(release)))) {
    yield* told('delete', releases, await remove(work, releases, markOf));
  }
}

interface Work {
  readonly objects: RemovableStore;
  readonly policy: TrustPolicy;
  readonly keys: readonly SecretKey[];
  readonly reader: SourceReader;
}

function turnsOf(releases: readonly PrunedRelease[]): readonly (readonly PrunedRelease[])[] {
  const turns: (readonly PrunedRelease[])[] = [];
  for (let at = 0; at < releases.length; at += TURN) turns.push(releases.slice(at, at + TURN));
  return turns;
}

function* told(
  action: PruneStep['action'],
  releases: readonly PrunedRelease[],
  done: ReadonlySet<PrunedRelease>,
): Generator<PruneStep> {
  for (const release of releases) yield { action: done.has(release) ? action : 'left', release };
}

/** Each of these gives the releases with which it was done. */
type Done = Promise<ReadonlySet<PrunedRelease>>;

async function restore(work: Work, releases: readonly PrunedRelease[]): Done {
  const marked = await those(releases, async ({ mark }) => mark !== undefined && isMarked(work, mark));
  await removeMarks(work, marked);
  return new Set(marked);
}

async function hide(work: Work, releases: readonly PrunedRelease[], time: string): Done {
  await mark(
    work,
    releases.map(({ version }) => ({ version, time })),
  );
  const isSame = sameAs(await readNow(work.reader));
  await removeMarks(
    work,
    releases.filter((release) => !isSame(release)),
  );
  return new Set(releases.filter(isSame));
}

async function remove(
  work: Work,
  releases: readonly PrunedRelease[],
  markOf: (release: PrunedRelease) => Pruning,
): Done {
  const hidden = await those(releases, (release) => isMarked(work, markOf(release)));
  const begun = hidden.filter((release) => !markOf(release).deleting);
  await mark(
    work,
    begun.map((release) => ({ version: release.version, time: markOf(release).time, deleting: true })),
  );
  const now = await readNow(work.reader);
  requireUndamaged(work.objects, now);
  const isSame = sameAs(now);
  const needed = new Set(promotedFrom(now));
  const marks = new Map(trusted(now.prunings).map((each) => [each.version, each]));
  const isOurs = (release: PrunedRelease) => {
    const found = marks.get(release.version);
    return found?.deleting === true && found.time === markOf(release).time;
  };
  const goes = (release: PrunedRelease) => isSame(release) && !needed.has(release.version) && isOurs(release);
  await removeMarks(
    work,
    begun.filter((release) => !goes(release)),
  );
  const gone = hidden.filter(goes);
  await removeObjects(work, now, gone);
  return new Set(gone);
}

/** Files go first, marks last: until then the next run knows that it has to go on, and whoever looks that not all is there. */
async function removeObjects(work: Work, sources: ReleaseSources, releases: readonly PrunedRelease[]): Promise<void> {
  const { objects } = work;
  const held = holdByVersion(sources);
  const keysOf = (part: keyof HeldVersion) =>
    releases.flatMap(({ version }) => (held.get(version)?.[part] ?? []).map(({ key }) => key));
  const versions = releases.map(({ version }) => version);
  await objects.remove(keysOf('files'));
  await objects.remove([
    ...keysOf('fragments'),
    ...versions.map((version) => versionKey(YANKS, version)),
    ...(await listSums(objects, new Set(versions))),
  ]);
  await removeMarks(work, releases);
}

/** Those for which it is true. */
async function those(
  releases: readonly PrunedRelease[],
  isSo: (release: PrunedRelease) => Promise<boolean>,
): Promise<readonly PrunedRelease[]> {
  const results = await mapAtMost(AT_ONCE, releases, isSo);
  return releases.filter((_, index) => results[index]);
}

async function readNow(reader: SourceReader): Promise<ReleaseSources> {
  return (await reader.read(await reader.list())).sources;
}

/** Tells whether all that is there now was there when it was planned. What is gone may be another run's work. */
function sameAs(now: ReleaseSources): (release: PrunedRelease) => boolean {
  const held = holdByVersion(now);
  const unfinished = new Set(now.promotions.map(({ value }) => value.version));
  return ({ version, held: before }) => {
    const known = new Set([...before.files, ...before.fragments].map((each) => JSON.stringify(each)));
    const { files, fragments } = held.get(version) ?? { files: [], fragments: [] };
    const isKnown = [...files, ...fragments].every((each) => known.has(JSON.stringify(each)));
    const isDamaged = now.damaged.some((key) => key.startsWith(`${FRAGMENTS}${version}/`));
    return isKnown && !isDamaged && !unfinished.has(version);
  };
}

/** What is being promoted, or was: the files are still needed. */
function promotedFrom({ promotions, fragments }: ReleaseSources): readonly string[] {
  return [
    ...promotions.map(({ value }) => value.from),
    ...fragments.flatMap(({ value }) => (value.promotion ? [value.promotion.from] : [])),
  ];
}

async function isMarked({ objects, policy }: Work, mark: Pruning): Promise<boolean> {
  const found = await readPruningMark(objects, mark.version, policy);
  return found.state === 'trusted' && found.value.time === mark.time && found.value.deleting === mark.deleting;
}

async function mark({ objects, keys }: Work, marks: readonly Pruning[]): Promise<void> {
  await mapAtMost(AT_ONCE, marks, (each) => writePruningMark(objects, each, keys));
}

function removeMarks({ objects }: Work, releases: readonly PrunedRelease[]): Promise<void> {
  return removePruningMarks(
    objects,
    releases.map(({ version }) => version),
  );
}

/** A version may be called as another part of the index: its checksums alone belong to it. */
async function listSums(objects: ObjectStore, versions: ReadonlySet<string>): Promise<readonly string[]> {
  const keys: string[] = [];
  if (versions.size === 0) return keys;
  for await (const { key } of listObjects(objects, { prefix: 'releases/', recursive: true })) {
    const version = /^releases\/(?<version>[^/]+)\/SHA256SUMS(\.minisig)?$/.exec(key)?.groups?.version;
    if (version !== undefined && versions.has(version)) keys.push(key);
  }
  return keys;
}

/** When each mark was written, by their keys. */
async function listMarks(objects: ObjectStore): Promise<ReadonlyMap<string, Date>> {
  const written = new Map<string, Date>();
  for await (const { key, modified } of listObjects(objects, { prefix: PRUNINGS })) written.set(key, modified);
  return written;
}

function requireRemovable(objects: ObjectStore): asserts objects is RemovableStore {
  if (objects.remove) return;
  throw new CarportError('E_UNSUPPORTED', `\`${objects.url}\` is a web server, where nothing can be removed`, {
    hint: "use the cache's `s3://` or `file://` URL",
  });
}

function requireUndamaged(objects: ObjectStore, { damaged }: ReleaseSources): void {
  const [key] = damaged;
  if (key === undefined) return;
  throw new CarportError('E_INTEGRITY', `\`${key}\` in \`${objects.url}\` is damaged: nothing is pruned`, {
    cause: new Error('what it keeps is not known'),
    hint: 'a newer carport may have written it; if not, put the release again with `--replace`, or remove the object',
  });
}
