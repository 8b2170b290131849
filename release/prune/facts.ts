/** Reads from a bucket what a pruning depends on. */

import { CarportError } from '../../lib/errors.js';
import type { Notice } from '../../lib/notice.js';
import { listObjects, type ObjectStore } from '../../lib/object-store/object-store.js';
import { buildReleaseIndex } from '../catalog/build.js';
import { allLatestOf } from '../catalog/latest.js';
import { ownRules, type ProjectRules } from '../catalog/rules.js';
import { isSigned } from '../documents/doubt.js';
import type { Project } from '../documents/kinds.js';
import { PRUNINGS, versionKey } from '../layout.js';
import { refuseLosses } from '../publish/lost-signatures.js';
import { type ReleaseSources, type SourceReader, trusted } from '../sources/sources.js';
import { readPinnedPaths } from './pinned-paths.js';
import type { PrunableChannel, PruneFacts, Tombstone } from './plan.js';
import { readPublishedVersions } from './published-versions.js';

/** How the facts are to be read. */
export interface FactsRequest {
  readonly channel: PrunableChannel;
  /** The rules of a project, which may have said something of itself before. */
  readonly rulesOf: (project: Project | undefined) => ProjectRules;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Go on where others have signed something. */
  readonly allowLost: boolean;
}

/** Reads what a pruning depends on. Throws `E_INTEGRITY` when something is damaged that might keep a release. */
export async function readFacts(
  objects: ObjectStore,
  reader: SourceReader,
  { channel, rulesOf, now, allowLost }: FactsRequest,
): Promise<{ readonly facts: PruneFacts; readonly warnings: readonly Notice[] }> {
  // Tombstones first: one that is gone when the releases are read is not taken for one that is there.
  const written = await listTombstones(objects);
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
  const tombstones = trusted(sources.prunings).flatMap((tombstone): readonly Tombstone[] => {
    const modified = written.get(versionKey(PRUNINGS, tombstone.version));
    return modified ? [{ ...tombstone, modified }] : [];
  });
  const indexed = indexedReleases(sources, channel, rulesOf(sources.project));
  const facts = { ...indexed, sources, tombstones, pinned, published, now };
  return { facts, warnings: [...lost, ...sources.warnings] };
}

/** Reads all that is there now. */
export async function readNow(reader: SourceReader): Promise<ReleaseSources> {
  return (await reader.read(await reader.list())).sources;
}

/** Throws `E_INTEGRITY` where a document cannot be read: nobody knows what it keeps. */
export function requireUndamaged(objects: ObjectStore, { damaged }: ReleaseSources): void {
  const [key] = damaged;
  if (key === undefined) return;
  throw new CarportError('E_INTEGRITY', `\`${key}\` in \`${objects.url}\` is damaged: nothing is pruned`, {
    cause: new Error('what it keeps is not known'),
    hint: 'a newer carport may have written it; if not, put the release again with `--replace`, or remove the object',
  });
}

/** The order and the times are those of the index, of which hidden releases are no part; `latest` leads to none of these. */
function indexedReleases(
  sources: ReleaseSources,
  channel: PrunableChannel,
  { channelOf, requiredTargets }: ProjectRules,
): Pick<PruneFacts, 'releases' | 'latest' | 'channelOf'> {
  const rules = ownRules(channelOf);
  const { index, hidden } = buildReleaseIndex(sources, rules);
  const visible = index.releases[channel];
  const withheld = hidden.map(({ release }) => release).filter(({ targets }) => targets.length > 0);
  const releases = [...visible, ...withheld.filter((release) => release.channel === channel)];
  const latest = allLatestOf(visible, requiredTargets);
  return {
    releases: releases.toSorted((a, b) => rules.compare(channel, a, b)),
    latest: new Set(latest.map(({ version }) => version)),
    channelOf,
  };
}

/** When each tombstone was written, by their keys. */
async function listTombstones(objects: ObjectStore): Promise<ReadonlyMap<string, Date>> {
  const written = new Map<string, Date>();
  for await (const { key, modified } of listObjects(objects, { prefix: PRUNINGS })) written.set(key, modified);
  return written;
}
