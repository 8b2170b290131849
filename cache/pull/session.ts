/** A pull from its first question to its out-links: nothing is fetched that cannot be kept. */

import { allDone } from '../../lib/concurrency.js';
import { insteadOf, isErrno } from '../../lib/errors.js';
import { makeDirectory } from '../../lib/filesystem/make-directory.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { OutLinks } from '../../lib/store/own/out-links.js';
import type { PulledPin } from '../../lib/store/own/pulled-pins.js';
import type { Work } from '../../lib/work.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { findOutRanges } from '../delta/many-ranges.js';
import type { DeltaPlan, DeltaTotals } from '../delta/plan.js';
import { createDelta, type DeltaOptions } from '../delta/session.js';
import type { Sources } from '../fallback.js';
import { trustNow } from '../keys/follow.js';
import type { PinPolicy } from '../pins/check.js';
import type { SeenPins } from '../pins/seen.js';
import { realisationsOfPulled } from '../realisations/pulled.js';
import { requireSameHere } from '../toolchains/locked.js';
import type { TransferSummary } from '../transfer-events.js';
import { askedCaches } from './caches.js';
import { holdEvents, type PullEvent } from './events.js';
import type { FetchOptions } from './fetch.js';
import { isWorthKeeping } from './kept.js';
import { lookForNars } from './look.js';
import { type PullPlan, planPull } from './plan.js';
import { fetchAndRegister, type PullTotals } from './register.js';
import { type Ahead, createAhead } from './take-ahead.js';
import type { PullTarget } from './target.js';
import { findTargets, type Target } from './targets.js';

/** What is pulled, and where to. */
export interface PullRequest {
  readonly targets: readonly Target[];
  /** The store that takes the paths. */
  readonly destination: PullTarget;
  /** Whose signatures of paths and pins are accepted. */
  readonly trust: PinPolicy;
  /** How new the pins were that were seen before. */
  readonly seen: SeenPins;
  /** Links that are made to the targets' paths when they are there. */
  readonly links: OutLinks;
  /** Look what would be fetched and whether it is there, and change nothing. */
  readonly dryRun: boolean;
  /** Takes what it can from paths of this machine; without it all is fetched but what a pull that was stopped has left of the very path. */
  readonly delta?: DeltaOptions | undefined;
}

/** What a pull works with. */
export interface PullWork extends Work<PullEvent> {
  readonly pool: WorkerPool;
}

/**
 * Pulls the closures of targets from the first of the caches that has them, while garbage collections are kept away: finds
 * what pins stand for, plans, fetches and registers each path after its references, then makes the links and notes the
 * pins. However this ends, what is registered is whole. Of a dry run, `storePaths` are what would be fetched.
 */
export async function pullClosure(
  caches: readonly ObjectStore[],
  request: PullRequest,
  work: PullWork,
): Promise<TransferSummary> {
  const { emit, signal } = work;
  if (request.dryRun) return pullProtected(caches, request, work);
  let isProtected = false;
  const pull = () => {
    isProtected = true;
    return pullProtected(caches, request, work);
  };
  return request.destination.protect(pull, { emit, signal }).catch((error: unknown) => {
    // Somebody else fills it: then it may have all that is wanted, and nothing needs to be written.
    if (isProtected || !isErrno(error, 'EACCES', 'EPERM', 'EROFS')) throw error;
    return pullProtected(caches, request, work, error);
  });
}

async function pullProtected(
  given: readonly ObjectStore[],
  { targets, destination, trust, seen, links, dryRun, delta: others }: PullRequest,
  work: PullWork,
  notWritable?: Error,
): Promise<TransferSummary> {
  const { emit, signal } = work;
  signal.throwIfAborted();
  const { store } = destination;
  if (others || (await destination.leftTrees?.hasAny())) given.forEach(findOutRanges);
  const { caches, explain } = await askedCaches(given, store.storeDir, emit);
  const { roots, pins } = await explain(findTargets(targets, { caches, policy: trust, seen, emit }));
  const before: string[] = [];
  for (const pin of pins) before.push(...(await tellWhereMoved(pin, destination, emit)));
  // What cannot be kept is told before it is fetched.
  if (pins.length > 0 && !dryRun && !notWritable) await makeDirectory(destination.pinsDir);
  await links.check(roots.length);
  const sources = { caches, trust, emit };
  const delta = createDelta(others ?? { stores: [], storeDir: store.storeDir, memory: undefined }, work);
  // What was computed took long, and is right whatever comes of this.
  const keep = async () => (dryRun ? undefined : delta.keep());
  const planWith = async (ahead?: Ahead): Promise<PlannedPull> => {
    const plan = await explain(planPull(caches, store, roots, trust, emit, ahead));
    signal.throwIfAborted();
    if (notWritable && plan.fetch.length > 0) throw notWritable;
    const preferred = plan.fetch.length > 0 ? [...(await store.queryClosure(before)).keys()] : [];
    const begun = async (info: NarInfo): Promise<string | undefined> =>
      isWorthKeeping(info) ? destination.leftTrees?.[dryRun ? 'find' : 'take'](info) : undefined;
    return { ...plan, delta: await delta.plan(plan.fetch, { preferred, begun }) };
  };
  if (dryRun) {
    const plan = await planWith();
    await plan.delta.totals;
    const { transfer: _, ...totals } = await tellPlan(plan, emit);
    await lookForNars(plan, sources);
    return { ...totals, transferred: 0, signed: 0, fileSize: 0 };
  }
  const receive = notWritable || !destination.takesAhead ? planFirst : takeAhead;
  const received = await receive(destination, sources, { ...work, keep }, planWith).finally(keep);
  const { plan, told, fileSize: narsSize } = received;
  if (destination.takeRealisations !== undefined) {
    const realisations = await realisationsOfPulled(plan.fetch, trust, emit);
    if (realisations.length > 0) await destination.takeRealisations(realisations, emit);
  }
  await requireLocksHold(plan, store);
  await links.make(plan.roots);
  if (!notWritable) for (const pin of pins) await destination.keepPin(pin);
  const fileSize = narsSize + plan.delta.tablesSize();
  const { transfer: transferred, ...totals } = told;
  const summary = { ...totals, transferred, signed: 0, fileSize, storePaths: plan.storePaths };
  emit({ type: 'summary', verb: 'pull', ...summary });
  return summary;
}

/** What is registered already is left as it is: somebody else may have been the first to register another build. */
async function requireLocksHold({ fetch }: PullPlan, store: PullTarget['store']): Promise<void> {
  const locked = fetch.filter((planned) => planned.locked);
  if (locked.length === 0) return;
  const there = await store.queryInfos(locked.map(({ info }) => info.path));
  for (const { info, locked: lock } of locked) {
    const registered = there.get(info.path);
    if (registered) requireSameHere(registered, lock!, store.description);
  }
}

/** Tells of a pin that has moved since it was pulled here, and gives what it stood for. A record that cannot be read tells nothing. */
async function tellWhereMoved(
  pin: PulledPin,
  { keptPin }: PullTarget,
  emit: PullWork['emit'],
): Promise<readonly string[]> {
  const { reference, from, updatedAt, storePaths } = pin;
  const before = await keptPin(reference, from).catch(insteadOf('E_INTEGRITY', undefined));
  if (before === undefined || before.storePaths.join() === storePaths.join()) return [];
  emit({ type: 'pin-moved', pin: reference, before: before.updatedAt, now: updatedAt, storePaths });
  return before.storePaths;
}

/** What is fetched, and how. */
interface PlannedPull extends PullPlan {
  readonly delta: DeltaPlan;
}

interface Pulled extends PullTotals {
  readonly plan: PlannedPull;
  readonly told: PlanTotals;
}

/** What writes down what was computed for a plan, too. */
interface ReceiveWork extends PullWork {
  keep(): Promise<void>;
}

type MakePlan = (ahead?: Ahead) => Promise<PlannedPull>;

/** Makes the plan, then fetches. */
async function planFirst(
  destination: PullTarget,
  sources: Sources,
  work: ReceiveWork,
  makePlan: MakePlan,
): Promise<Pulled> {
  const plan = await makePlan();
  return destination.receive(work.pool, work.signal, (receiver) =>
    fetchPlanned(plan, { ...sources, receiver, realPath: destination.store.realPath, ahead: undefined }, work),
  );
}

/** Takes what it can while the plan is made, then fetches the rest. */
async function takeAhead(
  destination: PullTarget,
  sources: Sources,
  work: ReceiveWork,
  makePlan: MakePlan,
): Promise<Pulled> {
  const { pool, signal } = work;
  return destination.receive(pool, signal, async (receiver) => {
    const ahead = createAhead(sources.caches, trustNow(sources.trust, sources.caches[0]), receiver, pool, signal);
    try {
      const plan = await makePlan(ahead);
      return await fetchPlanned(plan, { ...sources, receiver, realPath: destination.store.realPath, ahead }, work);
    } finally {
      await ahead?.discard();
    }
  });
}

/** Fetches while it is still found out what is here of other paths; what comes of that is told when the plan can be. */
async function fetchPlanned(
  plan: PlannedPull,
  sources: Sources & Pick<FetchOptions, 'receiver' | 'realPath' | 'ahead'>,
  { pool, emit, signal, keep }: ReceiveWork,
): Promise<Pulled> {
  const held = holdEvents(emit);
  const telling = tellPlan(plan, emit).finally(held.release);
  const options = { ...sources, emit: held.emit, pool, delta: plan.delta };
  const fetching = fetchAndRegister(plan, options, signal);
  await allDone<unknown>([fetching, telling.finally(keep)]);
  return { plan, told: await telling, ...(await fetching) };
}

/** Tells of a plan as soon as all of it is known; of one that comes to nothing what is known. */
async function tellPlan(plan: PlannedPull, emit: PullWork['emit']): Promise<PlanTotals> {
  const totals = await plan.delta.totals.catch(() => undefined);
  const told = planned(plan, totals);
  emit({ type: 'plan', verb: 'pull', ...told });
  return told;
}

type PlanTotals = ReturnType<typeof planned>;

function planned({ fetch, present }: PullPlan, delta: DeltaTotals | undefined) {
  return {
    paths: fetch.length + present,
    present,
    skipped: 0,
    narSize: fetch.reduce((sum, { info }) => sum + info.narSize, 0),
    transfer: fetch.length,
    storePaths: fetch.map(({ info }) => info.path),
    ...(delta && { fetchSize: delta.fetchSize, hereSize: delta.hereSize }),
  };
}
