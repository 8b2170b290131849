/** What options of a pull mean: from which caches, into which store, trusting whom. */

import { createNixTarget } from '../../cache/pull/nix-target.js';
import { pullClosure } from '../../cache/pull/session.js';
import { createOwnTarget, type PullTarget } from '../../cache/pull/target.js';
import { CarportError } from '../../lib/errors.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import { NIX, openStoreForWriting, requireNixStore } from '../../lib/store/open.js';
import { prepareOutLinks } from '../../lib/store/own/out-links.js';
import { expandStdin } from '../arguments/paths.js';
import { parseTargets } from '../arguments/targets.js';
import type { Context } from '../cli/context.js';
import { withCaches } from '../cli/with-caches.js';
import { withPool } from '../cli/with-pool.js';
import { pinPolicyOf, seenPinsOf } from '../pin/policy.js';
import { withReporter } from '../reporters/transfer.js';
import type { PullOptions } from './command.js';

/**
 * Pulls what the arguments mean, and keeps what its pins stand for now. Gives the closure, dependencies first; of a dry run
 * what would be fetched.
 */
export async function pullArguments(
  targets: readonly string[],
  options: PullOptions,
  context: Context,
): Promise<readonly string[]> {
  const { settings, dryRun } = options;
  const urls = settings.from.value;
  if (urls.length === 0) {
    throw new CarportError('E_USAGE', 'it is not said where to pull from', {
      hint: 'give `--from https://host` or `--from file:///path/of/cache`, or set CARPORT_FROM',
    });
  }
  const jobs = settings.jobs.value;
  const trust = pinPolicyOf(settings, options);
  const destination = await openDestination(settings.store.value, trust, context);
  const links = await prepareOutLinks(options.outLink, destination.makeOutLink);
  const words = await expandStdin(targets, context);
  const request = {
    targets: await parseTargets(words, destination.store),
    destination,
    trust,
    links,
    seen: seenPinsOf(context),
    dryRun,
  };
  return withReporter(context, options, async (emit) => {
    const { storePaths } = await withPool(jobs, (pool) =>
      withCaches(urls, { context, options, emit }, (caches, signal) =>
        pullClosure(
          caches.map(({ objects }) => objects),
          request,
          { pool, emit, signal },
        ),
      ),
    );
    return storePaths;
  });
}

async function openDestination(
  selection: string | undefined,
  trust: TrustPolicy,
  { env }: Context,
): Promise<PullTarget> {
  if (selection === NIX) return createNixTarget(await requireNixStore(env), trust, env);
  return createOwnTarget(openStoreForWriting(selection, env));
}
