/** What options of a pull mean: from which caches, into which store, trusting whom. */

import type { CacheUrl } from '../../cache/cache-url.js';
import type { ReaderTrust } from '../../cache/keys/follow.js';
import { createNixTarget } from '../../cache/pull/nix-target.js';
import { pullClosure } from '../../cache/pull/session.js';
import { createOwnTarget, type PullTarget } from '../../cache/pull/target.js';
import { CarportError } from '../../lib/errors.js';
import { NIX, openStoreForWriting, requireNixStore } from '../../lib/store/open.js';
import { type OutLinks, prepareOutLinks } from '../../lib/store/own/out-links.js';
import { expandStdin } from '../arguments/paths.js';
import { parseTargets } from '../arguments/targets.js';
import type { Context } from '../cli/context.js';
import { withCaches } from '../cli/with-caches.js';
import { withPool } from '../cli/with-pool.js';
import { followingPolicyOf, pinPolicyOf, seenPinsOf } from '../pin/policy.js';
import { type ProjectPart, projectPart } from '../project/part.js';
import { withReporter } from '../reporters/transfer.js';
import { tellStaleShims } from '../shims/stale.js';
import type { PullOptions } from './command.js';
import { deltaOptions } from './delta.js';

/**
 * Pulls what the arguments mean, and keeps what its pins stand for now. Toolchains of the project are pulled as they are
 * locked; without arguments all of them are. Gives the closure, dependencies first; of a dry run what would be fetched.
 */
export async function pullArguments(
  targets: readonly string[],
  options: PullOptions,
  context: Context,
): Promise<readonly string[]> {
  const words = await expandStdin(targets, context);
  const part = await projectPart(words, options, context);
  if (words.length === 0 && part.used.length === 0) throw nothingToPull();
  const storePaths = await pullParts(part, options, context);
  const lock = new Map(part.used.map(({ name, locked }) => [name, locked]));
  if (part.project) await tellStaleShims(part.project.directory, lock, options, context);
  return storePaths;
}

/** Pulls toolchains of the project, and what other words mean. */
export async function pullParts(part: ProjectPart, options: PullOptions, context: Context): Promise<readonly string[]> {
  const { settings, dryRun } = options;
  const urls = [...part.caches, ...(part.others.length > 0 ? requireFrom(settings.from.value) : [])];
  const jobs = settings.jobs.value;
  const trust = followingPolicyOf(pinPolicyOf(settings, options), context);
  const destination = await openDestination(settings.store.value, trust, context);
  const links = withProjectLinks(await prepareOutLinks(options.outLink, destination.makeOutLink), part, destination);
  const request = {
    targets: [...part.targets, ...(await parseTargets(part.others, destination.store))],
    destination,
    trust,
    links,
    seen: seenPinsOf(context),
    dryRun,
    delta: options.delta ? deltaOptions(destination.store, settings.store.value, context) : undefined,
  };
  return withReporter(context, options, async (emit) => {
    const { storePaths } = await withPool(jobs, (pool) =>
      withCaches(urls, { context, options, emit }, async (opened, signal) => {
        const caches = opened.map(({ objects }) => objects);
        // The summary is the last that is told.
        if (!options.frozen) await part.lookForNewer(opened, { policy: trust, seen: request.seen, emit });
        return pullClosure(caches, request, { pool, emit, signal });
      }),
    );
    return storePaths;
  });
}

function requireFrom(urls: readonly CacheUrl[]): readonly CacheUrl[] {
  if (urls.length > 0) return urls;
  throw new CarportError('E_USAGE', 'it is not said where to pull from', {
    hint: 'give `--from https://host` or `--from file:///path/of/cache`, or set CARPORT_FROM',
  });
}

function nothingToPull(): CarportError {
  return new CarportError('E_USAGE', 'it is not said what to pull', {
    hint: 'name pins or store paths; without any, the `[toolchains]` of the project are pulled, and there is no `carport.toml` with such here',
  });
}

/** Links of the project are made with those that are asked for, while what they lead to is kept. */
function withProjectLinks(links: OutLinks, part: ProjectPart, { makeOutLink }: PullTarget): OutLinks {
  return {
    ...links,
    async make(paths) {
      await links.make(paths);
      await part.keep(makeOutLink);
    },
  };
}

async function openDestination(
  selection: string | undefined,
  trust: ReaderTrust,
  { env }: Context,
): Promise<PullTarget> {
  if (selection === NIX) return createNixTarget(await requireNixStore(env), trust, env);
  return createOwnTarget(openStoreForWriting(selection, env));
}
