/** A pruning from its plan to its end: what is asked, planned, done, and told of each step. */

import type { Notice } from '../../lib/notice.js';
import { asWritable, type ObjectStore, type WriteStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import { toReleaseTime } from '../documents/kinds.js';
import { type SourceReader, sourceReader } from '../sources/sources.js';
import { type FactsRequest, readFacts } from './facts.js';
import { type PrunedRelease, type PrunePlan, type PruneRules, planPruning } from './plan.js';
import { hide, type PruneTools, remove, restore } from './steps.js';

/** Which releases stay, and how what is there is read and believed. */
export interface PruneRequest extends PruneRules, FactsRequest {
  readonly policy: TrustPolicy;
}

/** One thing that was done. What was not done since the release has changed meanwhile is `left`. */
export interface PruneStep {
  readonly action: 'restore' | 'hide' | 'delete' | 'left';
  readonly release: PrunedRelease;
}

/** What is to be done, and what sees whether it still is. */
export interface PlannedPruning {
  readonly plan: PrunePlan;
  readonly warnings: readonly Notice[];
  readonly reader: SourceReader;
}

/** Releases that are worked on before it is looked again what there is. */
const TURN = 2000;

/** Reads what the bucket holds, and plans. Throws `E_INTEGRITY` when something is damaged that might keep a release. */
export async function planPrune(objects: ObjectStore, request: PruneRequest): Promise<PlannedPruning> {
  const store = asPrunable(objects);
  const reader = sourceReader(objects, request.policy);
  const { facts, warnings } = await readFacts(store, reader, request);
  return { plan: planPruning(facts, request), warnings, reader };
}

/** The steps of a plan, none of which is done. */
export function* stepsOf(plan: PrunePlan): Generator<PruneStep> {
  for (const action of ['restore', 'hide', 'delete'] as const) {
    for (const release of plan[action]) yield { action, release };
  }
}

/**
 * Does what was planned, and tells each step when it is done. Before a release is hidden for good, and before it is deleted,
 * its tombstone is written and then the releases are read again; whoever puts a release writes it, then reads the tombstone,
 * and writes its fragment anew before the tombstone is removed. So one of the two sees the other, and the release stays.
 */
export async function* prune(
  objects: ObjectStore,
  { plan, reader }: PlannedPruning,
  { policy, now }: PruneRequest,
  keys: readonly SecretKey[],
): AsyncGenerator<PruneStep> {
  const tools: PruneTools = { objects: asPrunable(objects), policy, keys, reader };
  const time = toReleaseTime(new Date(now));
  const left = new Set<PrunedRelease>();
  for (const releases of turnsOf(plan.restore)) yield* told('restore', releases, await restore(tools, releases));
  for (const releases of turnsOf(plan.hide)) {
    const done = await hide(tools, releases, time);
    for (const release of releases) if (!done.has(release)) left.add(release);
    yield* told('hide', releases, done);
  }
  // Without a grace some were hidden just now.
  const tombstoneOf = ({ version, tombstone }: PrunedRelease) => tombstone ?? { version, time };
  for (const releases of turnsOf(plan.delete.filter((release) => !left.has(release)))) {
    yield* told('delete', releases, await remove(tools, releases, tombstoneOf));
  }
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

function asPrunable(objects: ObjectStore): WriteStore {
  return asWritable(objects, 'where nothing can be removed');
}
