/** A push from its first question to its pins: the order of the steps is what keeps the cache whole. */

import type { Notice } from '../../lib/notice.js';
import { isListable, type ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { Closure } from '../../lib/store/closure.js';
import { withHeldPaths } from '../../lib/store/hold-paths.js';
import type { LockNotice } from '../../lib/store/own/lock/lock.js';
import type { OwnStore } from '../../lib/store/own/own-store.js';
import type { FoundRealisation } from '../../lib/store/realisations.js';
import type { Store } from '../../lib/store/store.js';
import type { Work } from '../../lib/work.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { createBatchWriter } from '../batches/write.js';
import { readCacheInfo } from '../binary-cache.js';
import { LEASING, type Leased, type Leasing, withLease, withoutLease } from '../leases/lease.js';
import { publishRealisations } from '../realisations/publish.js';
import { signWhatWasLost } from '../signatures.js';
import type { TransferSummary } from '../transfer-events.js';
import type { PushEvent } from './events.js';
import { checkPinned, checkPins, type PushPins, setPins } from './pins.js';
import { type PushPlan, planPush } from './plan.js';
import { beginPush, checkCache, finishPush } from './prepare.js';
import { type PushTotals, publishPlan } from './publish.js';
import { prepareSmallUploads } from './small-uploads.js';
import type { Packing, UploadOptions } from './upload.js';

/** What is pushed, and how. */
export interface PushRequest {
  /** Where the paths are. */
  readonly store: Store;
  /** carport's own store, where some of the paths may be: they are kept from garbage collections meanwhile. */
  readonly own: OwnStore | undefined;
  readonly closure: Closure;
  /** Of paths of the closure that content-addressed derivations have made. */
  readonly realisations: readonly FoundRealisation[];
  /** Sign what is pushed, and what is there already; with none, paths keep the signatures that they have. */
  readonly keys: readonly SecretKey[];
  readonly packing: Packing;
  readonly pins: PushPins;
  /** Ask for each path and its NAR, instead of trusting that what is there is complete. */
  readonly checkAll: boolean;
  readonly skipSignedBy: SkippedKeys;
  /** Paths that are left out, since other caches have them. */
  readonly skipPaths?: ReadonlySet<string>;
  /** That nothing is signed is meant, and nothing is said of it. */
  readonly allowUnsigned?: boolean;
  /** Look what would be done, throw what would be thrown, and change nothing. */
  readonly dryRun: boolean;
}

/** Keys whose paths another cache has, so that they are left out. */
export interface SkippedKeys {
  readonly names: readonly string[];
  /** Where they were named, for messages. */
  readonly origin: string;
}

/** What a push works with. */
export interface PushWork extends Work<PushEvent> {
  readonly pool: WorkerPool;
  /** How the push tells garbage collections of itself, where that is not as it ships. */
  readonly leasing?: Leasing;
}

/**
 * Whether there is a cache at all. Throws when it is for other paths, or a pin cannot be set there: for who has long work
 * before a push, which asks the same again.
 */
export async function checkPushTarget(objects: ObjectStore, storeDir: string, pins: PushPins): Promise<boolean> {
  const hasCache = await checkCache(objects, storeDir);
  await checkPins(objects, pins);
  return hasCache;
}

/**
 * Pushes a closure: looks what the cache lacks, makes the cache where there is none, uploads what is missing, each path
 * after its references, checks that the cache was not erased meanwhile, and sets the pins. However this ends, what is
 * visible in the cache is complete. Of a dry run, `storePaths` are what would be uploaded.
 */
export async function pushClosure(
  objects: ObjectStore,
  request: PushRequest,
  work: PushWork,
): Promise<TransferSummary> {
  const { store, own, closure } = request;
  const { emit, signal } = work;
  const notify = ({ kind, message }: LockNotice) => {
    if (kind === 'waiting') emit({ type: 'warning', message });
  };
  const push = () => pushHeld(objects, request, work);
  return withHeldPaths({ store, own }, closure.graph.values(), push, { notify, signal });
}

async function pushHeld(objects: ObjectStore, request: PushRequest, work: PushWork): Promise<TransferSummary> {
  const { store, closure, packing, pins, dryRun } = request;
  const { pool, emit, signal, leasing = LEASING } = work;
  const hasCache = await checkPushTarget(objects, store.storeDir, pins);
  if (dryRun) return pushLeased(withoutLease(objects), { ...request, hasCache }, work);
  if (!hasCache) prepareSmallUploads(closure.graph.size, { pool, ...packing });
  // Who is refused leaves nothing where there was nothing, not even an empty directory.
  const early = !hasCache && isListable(objects) ? await planAndCheck(objects, { ...request, hasCache }) : undefined;
  const lease = { paths: closure.graph.keys(), emit, signal };
  return withLease(objects, lease, (leased) => pushLeased(leased, { ...request, hasCache, early }, work), leasing);
}

type HeldRequest = PushRequest & {
  readonly hasCache: boolean;
  /** What was planned before anybody could know of this push: it stands if there is no cache still. */
  readonly early?: PushPlan | undefined;
};

async function planAndCheck(objects: ObjectStore, request: HeldRequest): Promise<PushPlan> {
  const { pins, closure, skipSignedBy } = request;
  const plan = await planPush(objects, planRequestOf(request));
  checkPinned(pins, closure.pinned, plan, skipSignedBy.origin);
  return plan;
}

function planRequestOf({ closure, keys, checkAll, skipSignedBy, skipPaths, hasCache }: HeldRequest) {
  const skipped = { skipSignedBy: skipSignedBy.names, ...(skipPaths && { skipPaths }) };
  return { graph: closure.graph, keys, checkAll, ...skipped, hasCache };
}

async function pushLeased(
  { objects, refresh, until, isShared }: Leased,
  request: HeldRequest,
  { pool, emit, signal }: PushWork,
): Promise<TransferSummary> {
  const { store, closure, realisations, keys, packing, pins, dryRun, early } = request;
  const { pinned } = closure;
  // Others make the cache before they write into it.
  const stands = early !== undefined && (await readCacheInfo(objects)) === undefined;
  const plan = stands ? early : await planAndCheck(objects, request);
  signal.throwIfAborted();
  if (!dryRun) await beginPush(objects, store.storeDir, plan);
  const { narSize, ...totals } = totalsOf(plan);
  const uploadPaths = plan.upload.map(({ path }) => path);
  emit({ type: 'plan', verb: 'push', ...totals, transfer: uploadPaths.length, narSize, storePaths: uploadPaths });
  for (const notice of noticesOf(plan, request)) emit({ type: 'warning', ...notice });
  if (dryRun) return { ...totals, transferred: 0, narSize, fileSize: 0, signed: 0, storePaths: uploadPaths };
  const made = new Set(realisations.map(({ outPath }) => outPath));
  // What has realisations tells of them later, when its batch is written.
  const together = plan.upload.filter(({ path }) => !made.has(path));
  const batches = createBatchWriter(
    together,
    keys.map(({ name }) => name),
    { objects, emit },
  );
  const options = { ...packing, objects, store, pool, keys, emit, until, batches };
  const { fileSize, hasMetOthers } = await publishAll(plan, realisations, options, signal);
  if (hasMetOthers || (objects.traits.isImmediate && (await isShared()))) {
    await signWhatWasLost(objects, plan.upload, keys);
  }
  await refresh(rootsOf(plan));
  await finishPush(objects, store.storeDir, plan);
  await setPins(objects, pins, pinned, emit);
  const storePaths = plan.order.map(({ path }) => path);
  const transferred = uploadPaths.length;
  const summary = { ...totals, transferred, narSize, fileSize, signed: plan.sign.length, storePaths };
  emit({ type: 'summary', verb: 'push', ...summary });
  return summary;
}

/**
 * Publishes paths and realisations: a path vouches for the realisations of what it refers to as well, so that these are written
 * before it is visible.
 */
async function publishAll(
  plan: PushPlan,
  realisations: readonly FoundRealisation[],
  options: UploadOptions,
  signal: AbortSignal,
): Promise<PushTotals> {
  const { objects, keys } = options;
  const pushed = realisations.filter(({ outPath }) => !plan.skipped.includes(outPath));
  if (pushed.length === 0) return publishPlan(plan, options, signal);
  const stages = stagesOf(plan, new Set(pushed.map(({ outPath }) => outPath)));
  let fileSize = 0;
  let hasMetOthers = false;
  for (let stage = 0; stage <= Math.max(...stages.values()); stage++) {
    const isIn = ({ path }: { readonly path: string }) => stages.get(path) === stage;
    const part = { order: plan.order.filter(isIn), upload: plan.upload.filter(isIn), sign: plan.sign.filter(isIn) };
    if (part.upload.length + part.sign.length > 0) {
      const done = await publishPlan({ ...part, damaged: plan.damaged }, options, signal);
      fileSize += done.fileSize;
      hasMetOthers ||= done.hasMetOthers;
    }
    const made = pushed.filter(({ outPath }) => stages.get(outPath) === stage);
    await publishRealisations(objects, made, keys);
  }
  return { fileSize, hasMetOthers };
}

/** For each path, how many paths with realisations are below it, one above the other: these are written before it. */
function stagesOf({ order }: PushPlan, realised: ReadonlySet<string>): ReadonlyMap<string, number> {
  const stages = new Map<string, number>();
  for (const { path, references } of order) {
    const below = references.filter((to) => to !== path);
    const after = below.map((to) => (stages.get(to) ?? 0) + (realised.has(to) ? 1 : 0));
    stages.set(
      path,
      after.reduce((most, each) => Math.max(most, each), 0),
    );
  }
  return stages;
}

/** What nothing else of the closure refers to that the cache has: they keep all of it. */
function rootsOf({ order, skipped }: PushPlan): readonly string[] {
  const left = new Set(skipped);
  const pushed = order.filter(({ path }) => !left.has(path));
  const below = new Set(pushed.flatMap(({ path, references }) => references.filter((to) => to !== path)));
  return pushed.map(({ path }) => path).filter((path) => !below.has(path));
}

function totalsOf({ order, upload, skipped }: PushPlan) {
  return {
    paths: order.length,
    present: order.length - skipped.length - upload.length,
    skipped: skipped.length,
    narSize: upload.reduce((sum, info) => sum + info.narSize, 0),
  };
}

/** What people are to know of a plan before it is carried out. */
function noticesOf(plan: PushPlan, { keys, allowUnsigned = false, checkAll, dryRun }: PushRequest): readonly Notice[] {
  const isUnsigned =
    !allowUnsigned && keys.length === 0 && plan.upload.some(({ signatures }) => signatures.length === 0);
  return [
    ...(isUnsigned ? [{ message: 'nothing is signed: give `--secret-key`, or readers will refuse it' }] : []),
    ...plan.different.map((path) => ({
      about: { path },
      message: `\`${path}\` is in the cache with other content, and stays so: its build is not reproducible`,
    })),
    ...damageNotices(plan.damaged, { checkAll, dryRun }),
  ];
}

/** One for all: a cache that lost one NAR may have lost thousands. */
function damageNotices(
  damaged: PushPlan['damaged'],
  { checkAll, dryRun }: Pick<PushRequest, 'checkAll' | 'dryRun'>,
): readonly Notice[] {
  const [path, ...others] = damaged;
  if (path === undefined) return [];
  const more = others.length > 0 ? `, and of ${others.length} other path${others.length === 1 ? '' : 's'}` : '';
  const rest = checkAll ? '' : '; others may be gone, too: the same push with `--check-all` looks for all';
  const message = `the NAR of \`${path}\`${more} was not in the cache as its narinfo says, and ${dryRun ? 'would be' : 'is'} sent again${rest}`;
  return [{ about: { path }, message }];
}
