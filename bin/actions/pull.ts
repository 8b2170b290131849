import type { ObjectStore } from '../../cache/object-store/object-store.js';
import { orderCaches, planPull, type TrustPolicy } from '../../cache/pull/plan.js';
import { pull } from '../../cache/pull/pull.js';
import { CarportError } from '../../lib/errors.js';
import type { Emit } from '../../lib/events.js';
import { topologicalOrder } from '../../lib/nix/closure.js';
import { realPathIn } from '../../lib/store/layout.js';
import { openStoreForWriting } from '../../lib/store/open.js';
import { createStoreWriter, type OwnStore } from '../../lib/store/own-store.js';
import { checkReplaceable, makeOutLink } from '../../lib/store/roots.js';
import { settingsOf } from '../command.js';
import { type CommonOptions, type Context, writeLines } from '../context.js';
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
  const store = openStoreForWriting(singleValue(settings.store), context.env);
  const hashParts = await resolveHashParts(whats, store, context);
  const links = outLinks(options.outLink, hashParts.length);
  for (const link of links) await checkReplaceable(link);
  const trust = { keys: parseTrustedKeys(settings['trusted-keys']), allowUnsigned: options.allowUnsigned === true };
  const request: PullRequest = { store, hashParts, links, trust };

  const reporter = createReporter(context, options);
  const warn = (message: string) => reporter.emit({ type: 'warning', message });
  try {
    await withCaches(settings.from.values, { context, settings, warn }, (caches) => {
      const objects = caches.map((cache) => cache.objects);
      return pullFrom(objects, request, { options, settings, context, emit: reporter.emit });
    });
  } finally {
    reporter.stop();
  }
}

interface PullRequest {
  readonly store: OwnStore;
  readonly hashParts: readonly string[];
  /** Out-links, one for each of `hashParts` or none. */
  readonly links: readonly string[];
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
  { store, hashParts, links, trust }: PullRequest,
  { options, settings, context, emit }: CommandRun,
): Promise<void> {
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
  const { fileSize } = await withPool(settings.jobs, async (pool) => {
    const writer = await createStoreWriter(store, (path) => pool.run({ type: 'hash', path }));
    return pull(plan, { caches, store, writer, pool, trust, emit });
  });
  await linkRoots(store, plan.roots, links);
  const storePaths = topologicalOrder(await store.queryClosure(plan.roots)).map(({ path }) => path);
  emit({
    ...{ type: 'summary', ...totals, transferred: plan.fetch.length, signed: 0, narSize, fileSize },
    storePaths,
  });
  if (!options.json) await writeLines(context.stdout, storePaths);
}

/** `result`, `result-2`, …, as Nix names them. */
function outLinks(link: string | undefined, number: number): readonly string[] {
  if (link === undefined) return [];
  return Array.from({ length: number }, (_, index) => (index === 0 ? link : `${link}-${index + 1}`));
}

async function linkRoots(store: OwnStore, roots: readonly string[], links: readonly string[]): Promise<void> {
  for (const [index, link] of links.entries()) await makeOutLink(store, link, realPathIn(store.layout, roots[index]!));
}
