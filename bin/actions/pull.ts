import type { ObjectStore } from '../../cache/object-store/object-store.js';
import { createNixTarget } from '../../cache/pull/nix-target.js';
import { orderCaches, type PullPlan, planPull, type TrustPolicy } from '../../cache/pull/plan.js';
import { type PullOptions, type PullTotals, pull } from '../../cache/pull/pull.js';
import { createOwnTarget, type PullTarget } from '../../cache/pull/target.js';
import { CarportError } from '../../lib/errors.js';
import type { Emit } from '../../lib/events.js';
import { topologicalOrder } from '../../lib/nix/closure.js';
import { NIX, openStoreForWriting, requireNixStore } from '../../lib/store/open.js';
import { checkReplaceable } from '../../lib/store/roots.js';
import { settingsOf } from '../command.js';
import { type CommonOptions, type Context, writeLines } from '../context.js';
import { interruptible } from '../interrupt.js';
import { parseTrustedKeys } from '../keys.js';
import { resolveHashParts } from '../paths.js';
import { createReporter } from '../reporters/reporter.js';
import { type Settings, singleValue } from '../settings.js';
import { withCaches } from '../with-caches.js';
import { jobsOf, withPool } from '../with-pool.js';

export interface PullCommandOptions extends CommonOptions {
  readonly allowUnsigned?: boolean;
  readonly outLink?: string;
  readonly dryRun?: boolean;
}

export async function run(whats: readonly string[], options: PullCommandOptions, context: Context): Promise<void> {
  const settings = await settingsOf({ ...options }, context);
  if (settings.from.values.length === 0) {
    throw new CarportError('E_USAGE', 'it is not said where to pull from', {
      hint: 'give `--from https://host` or `--from file:///path/of/cache`, or set CARPORT_FROM',
    });
  }
  jobsOf(settings.jobs);
  const trust = { keys: parseTrustedKeys(settings['trusted-keys']), allowUnsigned: options.allowUnsigned === true };
  const target = await openTarget(singleValue(settings.store), trust, context);

  const reporter = createReporter(context, options);
  const warn = (message: string) => reporter.emit({ type: 'warning', message });
  try {
    await withCaches(settings.from.values, { context, settings, warn }, (caches) => {
      const objects = caches.map((cache) => cache.objects);
      const work = () =>
        pullFrom(objects, { whats, target, trust }, { options, settings, context, emit: reporter.emit });
      return options.dryRun ? work() : target.protect(work, warn);
    });
  } finally {
    reporter.stop();
  }
}

async function openTarget(selection: string | undefined, trust: TrustPolicy, { env }: Context): Promise<PullTarget> {
  if (selection === NIX) return createNixTarget(await requireNixStore(env), trust, env);
  return createOwnTarget(openStoreForWriting(selection, env));
}

interface PullRequest {
  readonly whats: readonly string[];
  readonly target: PullTarget;
  readonly trust: TrustPolicy;
}

interface CommandRun {
  readonly options: PullCommandOptions;
  readonly settings: Settings;
  readonly context: Context;
  readonly emit: Emit;
}

async function pullFrom(
  given: readonly ObjectStore[],
  { whats, target, trust }: PullRequest,
  { options, settings, context, emit }: CommandRun,
): Promise<void> {
  const { store } = target;
  const hashParts = await resolveHashParts(whats, store, context);
  const links = outLinks(options.outLink, hashParts.length);
  for (const link of links) await checkReplaceable(link);
  const caches = await orderCaches(given, store.storeDir, emit);
  const plan = await planPull(caches, store, hashParts, trust, emit);
  const fetchPaths = plan.fetch.map(({ info }) => info.path);
  const narSize = plan.fetch.reduce((sum, { info }) => sum + info.narSize, 0);
  const paths = plan.fetch.length + plan.present;
  const totals = { verb: 'pull', paths, present: plan.present, skipped: 0 } as const;
  emit({ type: 'plan', ...totals, transfer: plan.fetch.length, narSize, storePaths: fetchPaths });
  if (options.dryRun) {
    if (!options.json) await writeLines(context.stdout, fetchPaths);
    return;
  }
  const { fileSize } = await fetchAll(plan, target, { caches, trust, emit }, settings);
  for (const [index, link] of links.entries()) await target.makeOutLink(link, plan.roots[index]!);
  const storePaths = topologicalOrder(await store.queryClosure(plan.roots)).map(({ path }) => path);
  emit({
    ...{ type: 'summary', ...totals, transferred: plan.fetch.length, signed: 0, narSize, fileSize },
    storePaths,
  });
  if (!options.json) await writeLines(context.stdout, storePaths);
}

/** Fetches what the plan says into the target. */
async function fetchAll(
  plan: PullPlan,
  target: PullTarget,
  from: Pick<PullOptions, 'caches' | 'trust' | 'emit'>,
  settings: Settings,
): Promise<PullTotals> {
  const stop = new AbortController();
  return withPool(settings.jobs, (pool) =>
    interruptible(
      () => stop.abort(),
      () => target.receive(pool, stop.signal, (receiver) => pull(plan, { ...from, receiver, pool })),
    ),
  );
}

/** `result`, `result-2`, …, as Nix names them. */
function outLinks(link: string | undefined, number: number): readonly string[] {
  if (link === undefined) return [];
  return Array.from({ length: number }, (_, index) => (index === 0 ? link : `${link}-${index + 1}`));
}
