/** A push that was prepared: its threads, its cache, and what is printed of it. */

import { leasingFor } from '../../cache/leases/lease.js';
import type { OpenCache } from '../../cache/open.js';
import type { PushEvent } from '../../cache/push/events.js';
import { type PushRequest, pushClosure } from '../../cache/push/session.js';
import { startSmallUploads } from '../../cache/push/small-uploads.js';
import type { TransferSummary } from '../../cache/transfer-events.js';
import { findRealisations } from '../../lib/store/realisations.js';
import type { Emit } from '../../lib/work.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { type Context, writeLines } from '../cli/context.js';
import { patienceOf, withCaches } from '../cli/with-caches.js';
import { createPool, withPool } from '../cli/with-pool.js';
import { addJobSummary } from '../reporters/ci-log.js';
import { hasCache } from './ahead.js';
import { pathsElsewhere, withUpstream } from './left-out.js';
import type { PushOptions } from './options.js';
import { isListWanted, type PreparedPush } from './prepare.js';

/** The command that pushes. */
export interface PushRun {
  readonly options: PushOptions;
  readonly context: Context;
  readonly emit: Emit<PushEvent>;
  /** Whether what Nix's own cache has is left out, unless a pin is to stand for some of it. */
  readonly skipsUpstream?: boolean;
}

/**
 * Starts the threads of a push while its closure is looked up, where there is much to do in any case: into a directory that has no
 * cache. Who takes them closes them.
 */
export async function startThreadsEarly({ to, jobs, request }: PreparedPush): Promise<WorkerPool | undefined> {
  const { location } = to;
  if (location.kind !== 'file' || request.dryRun || (await hasCache(location.root))) return undefined;
  const pool = createPool(jobs);
  startSmallUploads({ pool, ...request.packing });
  return pool;
}

/**
 * Pushes a closure as it was prepared, and prints its paths where they are wanted; with `--json` the events say it all. `threads`
 * are those of `startThreadsEarly`.
 */
export async function pushPrepared(
  { to, jobs, request }: PreparedPush,
  paths: Pick<PushRequest, 'store' | 'own' | 'closure'>,
  run: PushRun,
  threads?: WorkerPool,
): Promise<void> {
  const { options, context, emit } = run;
  const push = (pool: WorkerPool) =>
    withCaches([to, ...(options.skipIn ?? [])], { context, options, emit }, async (caches, signal) => {
      const done = await pushInto({ caches, pool, signal }, { to, jobs, request }, paths, run);
      if (!request.dryRun) await sumUp(context, caches[0]!.objects.url, done);
      return done;
    });
  const summary = await withPool(jobs, push, threads);
  if (!options.json && isListWanted(options, context)) await writeLines(context.stdout, summary.storePaths);
}

/** What a push goes through: the cache, then those that are asked what they have; and threads. */
export interface PushTarget {
  readonly caches: readonly OpenCache[];
  readonly pool: WorkerPool;
  readonly signal: AbortSignal;
}

/** Pushes a closure into an open cache. */
export async function pushInto(
  { caches: [cache, ...others], pool, signal }: PushTarget,
  { request }: PreparedPush,
  paths: Pick<PushRequest, 'store' | 'own' | 'closure'>,
  { options, emit, skipsUpstream = false }: PushRun,
): Promise<TransferSummary> {
  const leasing = leasingFor(patienceOf(options) * 1000);
  const { realisations, unknown } = await findRealisations(paths.store, paths.closure);
  for (const path of unknown) {
    const message = `\`${path}\` is the output of a content-addressed derivation, and its realisation is not known here: Nix finds it in the cache by this path, and not by its derivation`;
    emit({ type: 'warning', about: { path }, message });
  }
  const skipSignedBy = skipsUpstream ? withUpstream(request, paths.closure) : request.skipSignedBy;
  const skipPaths = await pathsElsewhere(others, paths.closure, request.pins.requests.length > 0, emit);
  const asked = { ...request, ...paths, realisations, skipSignedBy, skipPaths };
  return pushClosure(cache!.objects, asked, { pool, emit, signal, leasing });
}

function sumUp(context: Context, cache: string, summary: TransferSummary): Promise<void> {
  const { transferred: pushed, present, skipped, fileSize } = summary;
  return addJobSummary(context, { title: 'carport push', cache, pushed, present, skipped, fileSize });
}
