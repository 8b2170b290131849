/** A collection of garbage from its listing to its end: the plan, and the sweep that does it. */

import { asWritable, type ObjectStore, type WriteStore } from '../../lib/object-store/object-store.js';
import { LEASES } from '../layout.js';
import { type Clock, SYSTEM_CLOCK } from '../leases/clock.js';
import { type Identity, OWN_IDENTITY, readLeases } from '../leases/documents.js';
import type { HoldTimes } from '../leases/hold.js';
import type { FinalSet } from './final-set.js';
import type { AgeRule, Root } from './mark.js';
import { type GcPlan, planGc } from './plan.js';
import { readSurvey, type SurveyWork } from './read-survey.js';
import { leaseRoots, type PinRules, pinRoots, type RootSource, requireListed } from './roots.js';
import type { Survey } from './survey.js';
import { type Removed, SWEEP_STEPS, SWEEP_TIMES, type SweepStep, sweep } from './sweep.js';

/** What stays. Times are milliseconds, sizes bytes. */
export interface GcRequest {
  readonly pins: PinRules;
  /** What else keeps paths: the releases of the same bucket, say. */
  readonly sources: readonly RootSource[];
  readonly keepNewerThan: number;
  readonly maxSize: number | undefined;
}

/** How a collection is held; models have other times, clocks and steps. */
export interface Sweeping {
  readonly clock: Clock;
  readonly times: HoldTimes;
  readonly identity: Identity;
  readonly patience: number;
  readonly poll: number;
  readonly steps: readonly SweepStep[];
}

/** As it ships. */
export const SWEEPING: Sweeping = {
  clock: SYSTEM_CLOCK,
  times: SWEEP_TIMES,
  identity: OWN_IDENTITY,
  patience: 60_000,
  poll: 1000,
  steps: SWEEP_STEPS,
};

/** What was done. */
export interface GcResult extends Removed {
  /** Paths that were to go, and are needed by now. */
  readonly spared: number;
  /** NARs that were to go and stay, since a push is under way that may rely on them. */
  readonly narsLeft: number;
  /** What has gone. */
  readonly final: FinalSet;
}

/** What is younger stays whatever `maxSize` says: others than carport may just be pushing it. */
const FIRM_MS = 24 * 60 * 60 * 1000;

/** Plans what goes, and changes nothing. Throws `E_INTEGRITY` or `E_SIGNATURE` where it is not known what must stay. */
export async function planCollection(objects: ObjectStore, request: GcRequest, work: SurveyWork): Promise<GcPlan> {
  const store = asCollectable(objects);
  const survey = await readSurvey(store, work);
  // Pins and leases are of today.
  const carportKeys = work.inventory ? undefined : survey.carportKeys;
  const live = (carportKeys?.some((key) => key.startsWith(LEASES)) ?? true) ? (await readLeases(store)).live : [];
  const roots = [...leaseRoots(live), ...(await rootsOf(store, request, carportKeys))];
  const plan = planGc(survey, roots, ruleOf(survey, request));
  await requireListed(store, plan.shares, survey.time);
  return plan;
}

/** Does what was planned, as far as nobody needs it by now. */
export async function applyCollection(
  objects: ObjectStore,
  plan: GcPlan,
  request: GcRequest,
  work: Pick<SurveyWork, 'emit' | 'signal'>,
  { steps, ...sweeping }: Sweeping = SWEEPING,
): Promise<GcResult> {
  const store = asCollectable(objects);
  const { totals, condemned } = plan;
  work.emit({ type: 'started', verb: 'remove', unit: 'objects', items: totals.removedObjects });
  const tools = { ...sweeping, ...work, objects: store, readRoots: () => rootsOf(store, request) };
  const { removed, final } = await sweep(plan, tools, steps);
  return {
    ...removed,
    spared: totals.removedPaths - removed.paths,
    narsLeft: condemned.nars.length - final!.nars.length,
    final: final!,
  };
}

async function rootsOf(
  store: WriteStore,
  { pins, sources }: GcRequest,
  listed?: readonly string[],
): Promise<readonly Root[]> {
  const all = [await pinRoots(store, pins, listed)];
  for (const source of sources) all.push(await source(store, listed));
  return all.flat();
}

function ruleOf({ time }: Survey, { keepNewerThan, maxSize }: GcRequest): AgeRule {
  return { cutoff: time - keepNewerThan, firm: time - Math.min(FIRM_MS, keepNewerThan), maxSize };
}

function asCollectable(objects: ObjectStore): WriteStore {
  return asWritable(objects, 'where nothing can be removed');
}
