/**
 * A sweep, one function a step of the protocol, as `docs/garbage-collection.md` numbers them. Their order is what makes it safe
 * beside pushes: a model runs these very functions, and finds that each other order loses something.
 */

import { CarportError } from '../../lib/errors.js';
import { LIST_PAGE, type WriteStore } from '../../lib/object-store/object-store.js';
import type { ActivityEvent, Work } from '../../lib/work.js';
import { tidyBatches } from '../batches/renew.js';
import { BATCHES, listingKey, narInfoKey } from '../layout.js';
import { type Clock, elapsedSince, momentOf } from '../leases/clock.js';
import {
  hashPartsIn,
  type Identity,
  type Lease,
  MOST_NAMED,
  readLeases,
  readSweeps,
  SWEEP_PLACE,
  type Sweep,
} from '../leases/documents.js';
import { type Hold, type HoldTimes, hold } from '../leases/hold.js';
import { type FinalSet, finalOf } from './final-set.js';
import type { Root } from './mark.js';
import type { GcPlan } from './plan.js';
import { removalOrder } from './removal-order.js';
import { leaseRoots } from './roots.js';
import { lookAgain, type SecondLook, spare } from './second-look.js';

/** How far a sweep has come. */
export interface SweepState {
  readonly plan: GcPlan;
  readonly held?: Hold<Sweep>;
  /** Live ones, when the sweep had been announced. */
  readonly leases: readonly Lease[];
  /** Whether each of these waits for this sweep, so that nobody relies on a NAR that no narinfo names. */
  readonly mayRemoveNars: boolean;
  /** Keys of what crashed pushes have left. */
  readonly expired: readonly string[];
  /** Pins and what others hand in, as they are now. */
  readonly roots: readonly Root[];
  readonly look?: SecondLook;
  readonly final?: FinalSet;
  readonly removed: Removed;
}

/** What was removed. */
export interface Removed {
  readonly paths: number;
  readonly objects: number;
  readonly bytes: number;
}

/** What a sweep works with. */
export interface SweepTools extends Work<ActivityEvent> {
  readonly objects: WriteStore;
  readonly clock: Clock;
  readonly times: HoldTimes;
  readonly identity: Identity;
  /** Pushes that are under way are waited for so long, in milliseconds, for NARs to be removed; they are asked for each `poll`. */
  readonly patience: number;
  readonly poll: number;
  /** Reads pins and other roots. */
  readonly readRoots: () => Promise<readonly Root[]>;
}

/** One step: what is known then, to what is known after it. */
export type SweepStep = (state: SweepState, tools: SweepTools) => Promise<SweepState>;

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** A sweep that has crashed holds pushes up for its lifetime; a request of it may take as long as the rest. */
export const SWEEP_TIMES: HoldTimes = { lifetime: 5 * MINUTE, trusted: 2 * MINUTE, renewal: 15 * SECOND };

/** The beginning of a sweep of a plan. */
function beginSweep(plan: GcPlan): SweepState {
  return {
    ...{ plan, leases: [], mayRemoveNars: false, expired: [], roots: [] },
    removed: { paths: 0, objects: 0, bytes: 0 },
  };
}

/** Throws `E_UNAVAILABLE` while another sweep is under way: two are safe beside each other, and of no use. */
export async function requireNoSweep(objects: WriteStore): Promise<void> {
  const { live } = await readSweeps(objects);
  if (live.length === 0) return;
  throw new CarportError('E_UNAVAILABLE', `another garbage collection of \`${objects.url}\` is under way`, {
    hint: 'wait until it has ended; one that was killed is void after a minute on its machine, and after five elsewhere',
  });
}

/** (2) Tells pushes what it condemns. */
const announce: SweepStep = async (state, { objects, clock, times, identity }) => {
  await requireNoSweep(objects);
  const plan = limited(state.plan);
  const { survey, condemned } = plan;
  const { narInfos, listings, belongings } = survey;
  const named = new Set<string>();
  for (const [number, isCondemned] of condemned.narInfos.entries()) {
    if (isCondemned) named.add(narInfos.hashParts.at(number));
  }
  for (const number of condemned.listings) named.add(listings.hashParts.at(number));
  for (const number of condemned.belongings) named.add(belongings.strays.get(number) ?? '');
  const sweep: Sweep = {
    id: identity.newId(),
    seconds: times.lifetime / SECOND,
    process: await identity.process(),
    hashParts: [...named].sort().join(''),
    removesNars: condemned.nars.length > 0,
  };
  return { ...state, plan, held: await hold(objects, SWEEP_PLACE, sweep, { clock, times }) };
};

/**
 * (3) Reads the leases, after (2): who writes one later sees the sweep. Where NARs are to go it waits a while for pushes that
 * had begun before; those that have begun since wait for it.
 */
export const askLeases: SweepStep = async (state, { objects, clock, patience, poll, signal, emit }) => {
  const { id, removesNars } = state.held!.value();
  const begun = momentOf(clock);
  for (let isTold = false; ; ) {
    const { live, expired } = await readLeases(objects);
    state.held!.check();
    const isFree = live.every(({ waitsFor }) => waitsFor.includes(id));
    if (isFree || !removesNars || elapsedSince(clock, begun) >= patience) {
      return { ...state, leases: live, expired, mayRemoveNars: removesNars && isFree };
    }
    if (!isTold) emit({ type: 'warning', message: 'waiting for pushes that are under way' });
    isTold = true;
    await clock.sleep(poll, signal);
    signal.throwIfAborted();
  }
};

/** (4) Reads pins and other roots, after the leases: a push sets its pin before its lease goes. */
const askRoots: SweepStep = async (state, { readRoots }) => ({ ...state, roots: await readRoots() });

/** (5) Lists again, after the leases: a push that has ended by then has left young narinfos. */
export const listAgain: SweepStep = async (state, { objects, signal }) => ({
  ...state,
  look: await lookAgain(objects, state.plan, signal),
});

/** (6) Spares what is needed now, and tells pushes what is left. */
export const spareNeeded: SweepStep = async (state, _tools) => {
  const roots = [...leaseRoots(state.leases), ...state.roots];
  const hashParts = function* () {
    for (const root of roots) yield* root.hashParts;
  };
  return withFinal(state, spare(state.plan, { hashParts: hashParts(), look: state.look! }));
};

/** The state with what goes, when it is known of each narinfo; pushes are told. */
export async function withFinal(state: SweepState, narInfos: Uint8Array): Promise<SweepState> {
  const leased = new Set<string>();
  for (const lease of state.leases) for (const hashPart of hashPartsIn(lease)) leased.add(hashPart);
  const final = finalOf(state.plan, { narInfos, look: state.look!, leased, mayRemoveNars: state.mayRemoveNars });
  const held = state.held!;
  const { survey } = state.plan;
  const named: string[] = [];
  for (const [number, goes] of final.narInfos.entries()) if (goes) named.push(survey.narInfos.hashParts.at(number));
  for (const number of final.listings) named.push(survey.listings.hashParts.at(number));
  for (const number of final.belongings) named.push(survey.belongings.strays.get(number) ?? '');
  const now = held.value();
  const hashParts = [...new Set(named)].sort().join('');
  const removesNars = final.nars.length > 0;
  if (hashParts !== now.hashParts || removesNars !== now.removesNars)
    await held.update({ ...now, hashParts, removesNars });
  return { ...state, final };
}

/** (7) Removes realisations, then narinfos, each before those that it refers to, then what belongs to them. */
const removeNarInfos: SweepStep = async (state, tools) => {
  const { survey } = state.plan;
  const { narInfos, listings, belongings } = survey;
  const final = state.final!;
  const work = remover(state, tools);
  const belonging = (number: number) => [belongings.keys.at(number), belongings.size[number]!] as const;
  await work.remove([...final.belongings].filter((number) => belongings.refers[number]).map(belonging));
  for (const batch of removalOrder(narInfos, final.narInfos)) {
    const paths = [...batch].map(
      (number) => [narInfoKey(narInfos.hashParts.at(number)), narInfos.size[number]!] as const,
    );
    await work.remove(paths, paths.length);
  }
  await work.remove(
    [...final.listings].map((number) => [listingKey(listings.hashParts.at(number)), listings.size[number]!] as const),
  );
  await work.remove([...final.belongings].filter((number) => !belongings.refers[number]).map(belonging));
  return { ...state, removed: work.removed() };
};

/** (8) Removes NARs that no narinfo has named at both listings, unless a push might rely on one. */
const removeNars: SweepStep = async (state, tools) => {
  const { keys, size } = state.plan.survey.nars;
  const work = remover(state, tools);
  if (state.mayRemoveNars) await work.remove([...state.final!.nars].map((number) => [keys.at(number), size[number]!]));
  return { ...state, removed: work.removed() };
};

/** (9) Removes what crashed pushes and sweeps have left. */
const tidy: SweepStep = async (state, { objects }) => {
  const { expired } = await readSweeps(objects);
  state.held!.check();
  await objects.remove([...state.expired, ...expired]);
  return state;
};

/** All steps, in their order. */
export const SWEEP_STEPS: readonly SweepStep[] = [
  announce,
  askLeases,
  askRoots,
  listAgain,
  spareNeeded,
  removeNarInfos,
  removeNars,
  tidy,
];

/** Does the steps, and takes back what was announced, however it ends. */
export async function sweep(plan: GcPlan, tools: SweepTools, steps = SWEEP_STEPS): Promise<SweepState> {
  let state = beginSweep(plan);
  try {
    for (const step of steps) {
      tools.signal.throwIfAborted();
      state = await step(state, tools);
    }
    await tidyBatchesOf(state, tools);
    return state;
  } finally {
    await state.held?.release().catch(() => undefined);
  }
}

/**
 * What has gone, also by other means, is in no batch of narinfos any more, so that its name is nowhere. No reader needs that. A
 * listing that shows no batch saves the look.
 */
async function tidyBatchesOf(
  { plan, final, removed }: SweepState,
  { objects, emit, signal }: SweepTools,
): Promise<void> {
  const { narInfos, carportKeys } = plan.survey;
  if (removed.paths === 0 && !carportKeys.some((key) => key.startsWith(BATCHES))) return;
  const named = new Map(narInfos.batches.map(({ name, count }) => [name, { count, staying: 0, removed: 0 }]));
  for (let number = 0; number < narInfos.length; number++) {
    const batch = narInfos.batches[narInfos.batch[number]!];
    if (batch) named.get(batch.name)![final!.narInfos[number] === 1 ? 'removed' : 'staying']++;
  }
  const numberOf = (hashPart: string) => narInfos.hashParts.find(hashPart);
  const isRemoved = (hashPart: string) => final!.narInfos[numberOf(hashPart)] === 1;
  const wasThere = (hashPart: string) => numberOf(hashPart) >= 0;
  await tidyBatches(
    objects,
    { isRemoved, namedBy: (name) => named.get(name), wasThere, time: plan.survey.time },
    { emit, signal },
  );
}

/** Removes pages of objects, each while the sweep counts. */
function remover(state: SweepState, { objects, emit, signal }: SweepTools) {
  let removed = state.removed;
  return {
    removed: () => removed,
    async remove(all: readonly (readonly [key: string, size: number])[], paths = 0) {
      for (let at = 0; at < all.length; at += LIST_PAGE) {
        const page = all.slice(at, at + LIST_PAGE);
        signal.throwIfAborted();
        state.held!.check();
        await objects.remove(page.map(([key]) => key));
        emit({ type: 'progress', items: page.length });
        removed = {
          paths: removed.paths + (paths > 0 ? page.length : 0),
          objects: removed.objects + page.length,
          bytes: removed.bytes + page.reduce((sum, [, size]) => sum + size, 0),
        };
      }
    },
  };
}

/** A sweep names what it condemns in one document: of very much garbage the rest waits for the next one. */
function limited(plan: GcPlan): GcPlan {
  const { survey, condemned } = plan;
  let left = MOST_NAMED - condemned.listings.length - condemned.belongings.length;
  if (condemned.narInfos.length <= left) return plan;
  const narInfos = new Uint8Array(condemned.narInfos.length);
  // Referrers first: what is condemned then is still all that refers to it.
  for (const batch of removalOrder(survey.narInfos, condemned.narInfos)) {
    for (const number of batch) if (left-- > 0) narInfos[number] = 1;
    if (left <= 0) break;
  }
  return { ...plan, condemned: { ...condemned, narInfos } };
}
