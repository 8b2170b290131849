import { LIST_PAGE, listObjects, type ObjectStore } from '../cache/object-store/object-store.js';
import { CarportError } from '../lib/errors.js';
import type { SecretKey } from '../lib/signing/key.js';
import type { TrustPolicy } from '../lib/signing/trust.js';
import { PROMOTION, PRUNING, type Pruning, toReleaseTime } from './documents.js';
import { PROMOTIONS, PRUNINGS, versionKey, YANKS } from './layout.js';
import { readPinnedPaths } from './pinned-paths.js';
import {
  type HeldVersion,
  type IndexedRelease,
  type PrunedRelease,
  type PrunePlan,
  type PruneRules,
  type PruningMark,
  planPruning,
} from './prune-plan.js';
import { readPublishedVersions } from './published-versions.js';
import { renderDocument } from './signed-document.js';
import { doubtAbout, type ReleaseSources, readDocument, readSources, trusted } from './sources.js';
import type { ChannelRule } from './version.js';

/** What a pruning asks of those who know the index. */
export interface PruneRequest extends PruneRules {
  readonly policy: TrustPolicy;
  readonly channelOf: ChannelRule;
  /** Releases in the order of the index, also hidden ones; and versions that `latest` leads to. */
  readonly look: (sources: ReleaseSources) => {
    readonly releases: readonly IndexedRelease[];
    readonly latest: ReadonlySet<string>;
  };
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** One thing that was done. What was not done since the release has changed meanwhile is `left`. */
export interface PruneStep {
  readonly action: 'restore' | 'hide' | 'delete' | 'left';
  readonly release: PrunedRelease;
}

/** Releases that are worked on at a time. */
const AT_ONCE = 16;

/** Reads what the bucket holds, and plans. Throws when something is damaged that might keep a release. */
export async function planPrune(
  objects: ObjectStore,
  request: PruneRequest,
): Promise<{ readonly plan: PrunePlan; readonly warnings: readonly string[] }> {
  requireRemovable(objects);
  const { policy, channelOf, look, now } = request;
  // Marks first: one that is gone when the releases are read is not taken for one that is there.
  const written = await listMarks(objects);
  const [sources, pinned, published] = await Promise.all([
    readSources(objects, policy),
    readPinnedPaths(objects),
    readPublishedVersions(objects),
  ]);
  requireUndamaged(objects, sources);
  const marks = trusted(sources.prunings).flatMap((mark): readonly PruningMark[] => {
    const modified = written.get(versionKey(PRUNINGS, mark.version));
    return modified ? [{ ...mark, modified }] : [];
  });
  const plan = planPruning({ ...look(sources), sources, channelOf, marks, pinned, published, now }, request);
  return { plan, warnings: sources.warnings };
}

/**
 * Does what was planned, and tells each step when it is done. Before a release is hidden for good, and before it is deleted,
 * its mark is written and then the release is read again; whoever puts a release writes it and then reads the mark. So one
 * of the two sees the other, and the release stays. Only a put that removes the mark in the moment between its reading and
 * its writing here is not seen.
 */
export async function* prune(
  objects: ObjectStore,
  plan: PrunePlan,
  { policy, now }: PruneRequest,
  keys: readonly SecretKey[],
): AsyncGenerator<PruneStep> {
  requireRemovable(objects);
  const work: Work = { objects, policy, keys };
  const time = toReleaseTime(new Date(now));
  yield* inTurns('restore', plan.restore, (release) => restore(work, release));
  yield* inTurns('hide', plan.hide, (release) => hide(work, release, time));
  // Without a grace some were hidden just now.
  const hidden = (release: PrunedRelease) => release.mark ?? { version: release.version, time };
  yield* inTurns('delete', plan.delete, (release) => remove(work, release, hidden(release)));
}

type Removable = ObjectStore & Required<Pick<ObjectStore, 'remove'>>;

interface Work {
  readonly objects: Removable;
  readonly policy: TrustPolicy;
  readonly keys: readonly SecretKey[];
}

/** In order, some at a time. */
async function* inTurns(
  action: PruneStep['action'],
  releases: readonly PrunedRelease[],
  work: (release: PrunedRelease) => Promise<boolean>,
): AsyncGenerator<PruneStep> {
  for (let at = 0; at < releases.length; at += AT_ONCE) {
    const turn = releases.slice(at, at + AT_ONCE);
    const done = await Promise.all(turn.map(work));
    for (const [index, release] of turn.entries()) yield { action: done[index] ? action : 'left', release };
  }
}

async function restore(work: Work, { version, mark }: PrunedRelease): Promise<boolean> {
  if (!mark || !(await isMarked(work, mark))) return false;
  await removeMark(work, version);
  return true;
}

async function hide(work: Work, release: PrunedRelease, time: string): Promise<boolean> {
  await writeMark(work, { version: release.version, time });
  if (isPartOf(await readSources(work.objects, work.policy, release.version), release.held)) return true;
  await removeMark(work, release.version);
  return false;
}

async function remove(work: Work, release: PrunedRelease, mark: Pruning): Promise<boolean> {
  const { version } = release;
  if (!(await isMarked(work, mark))) return false;
  if (!mark.deleting) await writeMark(work, { version, time: mark.time, deleting: true });
  const left = await readSources(work.objects, work.policy, version);
  if (!isPartOf(left, release.held) || (await isBeingPromoted(work.objects, version))) {
    // It may have been removed before it was written here.
    if (!mark.deleting) await removeMark(work, version);
    return false;
  }
  const keys = [
    ...[...left.files, ...left.fragments].map(({ key }) => key),
    versionKey(YANKS, version),
    ...(await listSums(work.objects, version)),
  ];
  for (let at = 0; at < keys.length; at += LIST_PAGE) await work.objects.remove(keys.slice(at, at + LIST_PAGE));
  // Until here the next run knows that it has to go on.
  await removeMark(work, version);
  return true;
}

/** Whether all that is there now was there when it was planned. What is gone may be another run's work. */
function isPartOf({ files, fragments, promotions, damaged }: ReleaseSources, held: HeldVersion): boolean {
  if (promotions.length > 0 || damaged.length > 0) return false;
  const known = new Set([...held.files, ...held.fragments].map((each) => JSON.stringify(each)));
  return [...files, ...fragments].every((each) => known.has(JSON.stringify(each)));
}

/** A promotion that has begun needs the files. */
async function isBeingPromoted(objects: ObjectStore, version: string): Promise<boolean> {
  for await (const { key } of listObjects(objects, { prefix: PROMOTIONS })) {
    if ((await readDocument(objects, PROMOTION, key))?.value.from === version) return true;
  }
  return false;
}

async function isMarked({ objects, policy }: Work, mark: Pruning): Promise<boolean> {
  const document = await readDocument(objects, PRUNING, versionKey(PRUNINGS, mark.version));
  if (!document || doubtAbout(PRUNING, document, policy) !== undefined) return false;
  const { version, time, deleting } = document.value;
  return version === mark.version && time === mark.time && deleting === mark.deleting;
}

async function writeMark({ objects, keys }: Work, mark: Pruning): Promise<void> {
  const text = renderDocument(PRUNING, mark, keys);
  const metadata = { contentType: 'application/json', cacheControl: 'no-cache' };
  await objects.put(versionKey(PRUNINGS, mark.version), Buffer.from(text), metadata);
}

async function removeMark({ objects }: Work, version: string): Promise<void> {
  await objects.remove([versionKey(PRUNINGS, version)]);
}

/** A version may be called as another part of the index: its checksums alone belong to it. */
async function listSums(objects: ObjectStore, version: string): Promise<readonly string[]> {
  const sums = `releases/${version}/SHA256SUMS`;
  const keys: string[] = [];
  for await (const { key } of listObjects(objects, { prefix: sums })) {
    if (key === sums || key === `${sums}.minisig`) keys.push(key);
  }
  return keys;
}

/** When each mark was written, by their keys. */
async function listMarks(objects: ObjectStore): Promise<ReadonlyMap<string, Date>> {
  const written = new Map<string, Date>();
  for await (const { key, modified } of listObjects(objects, { prefix: PRUNINGS })) written.set(key, modified);
  return written;
}

function requireRemovable(objects: ObjectStore): asserts objects is Removable {
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
