/** A push that ends where the cache has its roots: for who wants to know nothing of the closure, that is not computed. */

import { leasingFor } from '../../cache/leases/lease.js';
import type { PushEvent } from '../../cache/push/events.js';
import { findWhole, type WholeClosures } from '../../cache/push/nothing-new.js';
import { NIXOS_KEY } from '../../cache/push/upstream-keys.js';
import { isDerivationPath } from '../../lib/nix/derivation/derivation.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { storeDirOf } from '../../lib/nix/store-path.js';
import { RECURSIVE } from '../../lib/store/nix/ahead.js';
import { glanceAt } from '../../lib/store/open.js';
import { haveToldPaths } from '../../lib/store/realisations.js';
import type { Emit } from '../../lib/work.js';
import { plainStorePaths } from '../arguments/paths.js';
import type { Context } from '../cli/context.js';
import { patienceOf, withCaches } from '../cli/with-caches.js';
import { beginGroup, type LogGroup } from '../reporters/ci-log.js';
import { withReporter } from '../reporters/transfer.js';
import type { PushCommandOptions } from './command.js';
import { isListWanted, type PreparedPush } from './prepare.js';

/** Whether the cache has the closures of what is to be pushed, so that nothing is left to do. Says so. */
export async function endsAtRoots(
  targets: readonly string[],
  { to, request }: PreparedPush,
  options: PushCommandOptions,
  context: Context,
): Promise<boolean> {
  const { keys, skipSignedBy } = request;
  const paths = rootsOf(targets, options, context);
  // Nix is asked for the closure where there is no cache, or it will be looked at.
  const isWhole = context.answers?.some((answer) => answer.arguments.includes(RECURSIVE[0])) === true;
  if (paths.length === 0 || keys.length === 0 || isWhole) return false;
  // The store is asked beside the cache.
  const roots = rootsHere(paths, options, context);
  roots.catch(() => undefined);
  const names = [...skipSignedBy.names, ...(options.skipUpstream ? [NIXOS_KEY] : [])];
  return withReporter(context, options, async (emit) => {
    const leasing = leasingFor(patienceOf(options) * 1000);
    const found = await withCaches([to], { context, options, emit }, ([cache], signal) =>
      findWhole(cache!.objects, { paths, roots, keys, skipSignedBy: names }, { emit, signal, leasing }),
    );
    if (found) tell(paths, found, emit, beginGroup(context, options, 'carport push'));
    return found !== undefined;
  });
}

/** The paths that are pushed, if they are all that is looked at. */
function rootsOf(targets: readonly string[], options: PushCommandOptions, context: Context): readonly string[] {
  const { closure, json, checkAll, pin = [], skipIn = [] } = options;
  // Tables and JSON count paths.
  const isCounted = json || isListWanted(options, context) || context.env.GITHUB_STEP_SUMMARY;
  if (closure !== 'runtime' || isCounted || checkAll || pin.length + skipIn.length > 0) return [];
  const paths = plainStorePaths(targets);
  const isOneStore = new Set(paths.map(storeDirOf)).size === 1;
  return isOneStore && !paths.some(isDerivationPath) ? paths : [];
}

/** What the store has of them, if it has all, and has not to tell more than that of one. */
async function rootsHere(
  paths: readonly string[],
  { settings }: PushCommandOptions,
  { env, answers }: Context,
): Promise<readonly PathInfo[] | undefined> {
  const infos = await glanceAt(settings.store.value, env, paths, answers);
  if (infos === undefined) return undefined;
  const roots = paths.map((path) => infos.get(path)!);
  return (await haveToldPaths(roots)) ? roots : undefined;
}

function tell(
  roots: readonly string[],
  { paths }: WholeClosures,
  emit: Emit<PushEvent>,
  { end }: Pick<LogGroup, 'end'>,
): void {
  const number = paths ?? roots.length;
  const there = { verb: 'push', paths: number, present: number, skipped: 0, narSize: 0, storePaths: [] } as const;
  const counts = paths === undefined ? ({ ...there, isOfRoots: true } as const) : there;
  emit({ type: 'plan', ...counts, transfer: 0 });
  end();
  emit({ type: 'summary', ...counts, transferred: 0, signed: 0, fileSize: 0 });
}
