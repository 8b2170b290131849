/** The command `pull`: from options to a pull, and what is printed of it. */

import type { PinPolicy } from '../../cache/pins/check.js';
import type { FetchOptions } from '../../cache/pull/fetch.js';
import { lookForNars } from '../../cache/pull/look.js';
import { createNixTarget } from '../../cache/pull/nix-target.js';
import { orderCaches, type PullPlan, planPull } from '../../cache/pull/plan.js';
import { fetchAndRegister, type PullTotals } from '../../cache/pull/register.js';
import { createOwnTarget, type PullTarget } from '../../cache/pull/target.js';
import { CarportError } from '../../lib/errors.js';
import { makeDirectory } from '../../lib/filesystem/make-directory.js';
import { topologicalOrder } from '../../lib/nix/closure.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import { NIX, openStoreForWriting, requireNixStore } from '../../lib/store/open.js';
import { type OutLinks, prepareOutLinks } from '../../lib/store/own/out-links.js';
import { expandStdin } from '../arguments/paths.js';
import { resolveWanted } from '../arguments/targets.js';
import { type CommandRun, settingsOf } from '../cli/command.js';
import { type CommonOptions, type Context, writeLines } from '../cli/context.js';
import { interruptible } from '../cli/interrupt.js';
import { withCaches } from '../cli/with-caches.js';
import { jobsOf, withPool } from '../cli/with-pool.js';
import type { PinReadOptions } from '../pin/options.js';
import { pinPolicyOf, seenPinsOf } from '../pin/policy.js';
import { createReporter } from '../reporters/reporter.js';
import { cachesOf, storeOf } from '../settings/places.js';
import type { Settings } from '../settings/settings.js';

export interface PullCommandOptions extends CommonOptions, PinReadOptions {
  readonly outLink?: string;
  readonly dryRun?: boolean;
}

export async function run(targets: readonly string[], options: PullCommandOptions, context: Context): Promise<void> {
  const storePaths = await pullPaths(targets, options, context);
  if (!options.json) await writeLines(context.stdout, storePaths);
}

/**
 * Pulls what the arguments mean, and keeps what its pins stand for now. Gives the closure, dependencies first; of a dry run
 * what would be fetched.
 */
export async function pullPaths(
  targets: readonly string[],
  options: PullCommandOptions,
  context: Context,
): Promise<readonly string[]> {
  const settings = await settingsOf({ ...options }, context);
  const urls = cachesOf(settings.from);
  if (urls.length === 0) {
    throw new CarportError('E_USAGE', 'it is not said where to pull from', {
      hint: 'give `--from https://host` or `--from file:///path/of/cache`, or set CARPORT_FROM',
    });
  }
  jobsOf(settings.jobs);
  const trust = pinPolicyOf(settings, options);
  const target = await openTarget(storeOf(settings.store), trust, context);
  const links = await prepareOutLinks(options.outLink, target.makeOutLink);
  // Here, since stdin is read once and a pull may be planned again.
  const words = await expandStdin(targets, context);

  const reporter = createReporter(context, options);
  const warn = (message: string) => reporter.emit({ type: 'warning', message });
  try {
    return await withCaches(urls, { context, settings, warn }, (caches) => {
      const objects = caches.map((cache) => cache.objects);
      const work = () =>
        pullFrom(objects, { words, target, trust, links }, { options, settings, context, emit: reporter.emit });
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
  readonly words: readonly string[];
  readonly target: PullTarget;
  readonly trust: PinPolicy;
  readonly links: OutLinks;
}

async function pullFrom(
  given: readonly ObjectStore[],
  { words, target, trust, links }: PullRequest,
  { options, settings, context, emit }: CommandRun<PullCommandOptions>,
): Promise<readonly string[]> {
  const { store } = target;
  const caches = await orderCaches(given, store.storeDir, emit);
  const source = { caches, policy: trust, seen: seenPinsOf(context), emit };
  const { roots, pins } = await resolveWanted(words, store, source);
  // What cannot be kept is told before it is fetched.
  if (pins.length > 0 && !options.dryRun) await makeDirectory(target.pinsDir);
  await links.check(roots.length);
  const plan = await planPull(caches, store, roots, trust, emit);
  const fetchPaths = plan.fetch.map(({ info }) => info.path);
  const narSize = plan.fetch.reduce((sum, { info }) => sum + info.narSize, 0);
  const paths = plan.fetch.length + plan.present;
  const totals = { verb: 'pull', paths, present: plan.present, skipped: 0 } as const;
  emit({ type: 'plan', ...totals, transfer: plan.fetch.length, narSize, storePaths: fetchPaths });
  if (options.dryRun) {
    await lookForNars(plan, { caches, trust, emit });
    return fetchPaths;
  }
  const { fileSize } = await fetchAll(plan, target, { caches, trust, emit }, settings);
  await links.make(plan.roots);
  for (const pin of pins) await target.keepPin(pin);
  const storePaths = topologicalOrder(await store.queryClosure(plan.roots)).map(({ path }) => path);
  emit({
    ...{ type: 'summary', ...totals, transferred: plan.fetch.length, signed: 0, narSize, fileSize },
    storePaths,
  });
  return storePaths;
}

/** Fetches what the plan says into the target. */
async function fetchAll(
  plan: PullPlan,
  target: PullTarget,
  from: Pick<FetchOptions, 'caches' | 'trust' | 'emit'>,
  settings: Settings,
): Promise<PullTotals> {
  const stop = new AbortController();
  return withPool(settings.jobs, (pool) =>
    interruptible(
      () => stop.abort(),
      () => target.receive(pool, stop.signal, (receiver) => fetchAndRegister(plan, { ...from, receiver, pool })),
    ),
  );
}
