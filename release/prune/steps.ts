/** The steps of a pruning: releases are restored, hidden, deleted, each only while they are as they were planned. */

import { mapAtMost } from '../../lib/concurrency.js';
import type { ListStore, WriteStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import type { Pruning } from '../documents/kinds.js';
import { FRAGMENTS, INDEX, parseSumsKey, versionKey, YANKS } from '../layout.js';
import { type ReleaseSources, type SourceReader, trusted } from '../sources/sources.js';
import { readTombstone, removeTombstones, writeTombstone } from '../tombstones.js';
import { readNow, requireUndamaged } from './facts.js';
import { type HeldVersion, holdByVersion, type PrunedRelease } from './plan.js';

/** What the steps work with. */
export interface PruneTools {
  readonly objects: WriteStore;
  readonly policy: TrustPolicy;
  readonly keys: readonly SecretKey[];
  readonly reader: SourceReader;
}

/** Tombstones that are read or written at a time. */
const AT_ONCE = 64;

/** The releases with which a step was done. */
type Done = Promise<ReadonlySet<PrunedRelease>>;

/** Takes releases back that are hidden, where their tombstones are still those of the plan. */
export async function restore(tools: PruneTools, releases: readonly PrunedRelease[]): Done {
  const hidden = await those(
    releases,
    async ({ tombstone }) => tombstone !== undefined && hasTombstone(tools, tombstone),
  );
  await removeTombstonesOf(tools, hidden);
  return new Set(hidden);
}

/** Hides releases from the index, unless something was put since they were planned; `time` is in their tombstones. */
export async function hide(tools: PruneTools, releases: readonly PrunedRelease[], time: string): Done {
  await writeTombstones(
    tools,
    releases.map(({ version }) => ({ version, time })),
  );
  const isSame = sameAs(await readNow(tools.reader));
  await removeTombstonesOf(
    tools,
    releases.filter((release) => !isSame(release)),
  );
  return new Set(releases.filter(isSame));
}

/**
 * Deletes releases that are hidden: those that are as they were planned, that no promotion needs, and whose tombstones are
 * those of the plan. `tombstoneOf` tells which that is.
 */
export async function remove(
  tools: PruneTools,
  releases: readonly PrunedRelease[],
  tombstoneOf: (release: PrunedRelease) => Pruning,
): Done {
  const hidden = await those(releases, (release) => hasTombstone(tools, tombstoneOf(release)));
  const begun = hidden.filter((release) => !tombstoneOf(release).deleting);
  await writeTombstones(
    tools,
    begun.map((release) => ({ version: release.version, time: tombstoneOf(release).time, deleting: true })),
  );
  const now = await readNow(tools.reader);
  requireUndamaged(tools.objects, now);
  const isSame = sameAs(now);
  const needed = new Set(promotedFrom(now));
  const tombstones = new Map(trusted(now.prunings).map((each) => [each.version, each]));
  const isOurs = (release: PrunedRelease) => {
    const found = tombstones.get(release.version);
    return found?.deleting === true && found.time === tombstoneOf(release).time;
  };
  const goes = (release: PrunedRelease) => isSame(release) && !needed.has(release.version) && isOurs(release);
  await removeTombstonesOf(
    tools,
    begun.filter((release) => !goes(release)),
  );
  const gone = hidden.filter(goes);
  await removeObjects(tools, now, gone);
  return new Set(gone);
}

/** Files go first, tombstones last: until then the next run knows that it has to go on, and whoever looks that not all is there. */
async function removeObjects(
  tools: PruneTools,
  sources: ReleaseSources,
  releases: readonly PrunedRelease[],
): Promise<void> {
  const { objects } = tools;
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
  await removeTombstonesOf(tools, releases);
}

/** The releases for which it is true. */
async function those(
  releases: readonly PrunedRelease[],
  isSo: (release: PrunedRelease) => Promise<boolean>,
): Promise<readonly PrunedRelease[]> {
  const results = await mapAtMost(AT_ONCE, releases, isSo);
  return releases.filter((_, index) => results[index]);
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

/** Whether the tombstone of a version is this one. */
async function hasTombstone({ objects, policy }: PruneTools, { version, time, deleting }: Pruning): Promise<boolean> {
  const found = await readTombstone(objects, version, policy);
  return found.state === 'trusted' && found.value.time === time && found.value.deleting === deleting;
}

async function writeTombstones({ objects, keys }: PruneTools, tombstones: readonly Pruning[]): Promise<void> {
  await mapAtMost(AT_ONCE, tombstones, (each) => writeTombstone(objects, each, keys));
}

function removeTombstonesOf({ objects }: PruneTools, releases: readonly PrunedRelease[]): Promise<void> {
  return removeTombstones(
    objects,
    releases.map(({ version }) => version),
  );
}

/** A version may be called as another part of the index: its checksums alone belong to it. */
async function listSums(objects: ListStore, versions: ReadonlySet<string>): Promise<readonly string[]> {
  const keys: string[] = [];
  if (versions.size === 0) return keys;
  for await (const { key } of objects.list({ prefix: INDEX, recursive: true })) {
    const sums = parseSumsKey(key);
    if (sums && versions.has(sums.version)) keys.push(key);
  }
  return keys;
}
