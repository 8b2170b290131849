/** What is run with: names to store paths and their closure. */

import { lstat } from 'node:fs/promises';
import type { CacheUrl } from '../../cache/cache-url.js';
import { parsePinReference } from '../../cache/pins/reference.js';
import { CarportError, hasCode } from '../../lib/errors.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { runtimeClosure } from '../../lib/store/closure.js';
import type { OwnStore } from '../../lib/store/own/own-store.js';
import type { Store } from '../../lib/store/store.js';
import { type LocalPaths, openLocalPaths, pulledPaths, resolveLocalPath } from '../arguments/local-paths.js';
import type { Context } from '../cli/context.js';
import { toolchainsForRun } from '../project/run.js';
import type { FetchOptions, RunCommandOptions } from './options.js';

/** What a command is run with. */
export interface RunTargets {
  /** What was named, or the toolchains of the project. */
  readonly names: readonly string[];
  /** The project whose toolchains all of them are. */
  readonly project: string | undefined;
  /** The store paths that were named. */
  readonly roots: readonly PathInfo[];
  /** Their closure, the roots first. */
  readonly closure: readonly PathInfo[];
  /** Where they are. */
  readonly store: Store;
  /** carport's own store, if it was looked into. */
  readonly own: OwnStore | undefined;
}

/**
 * The store paths that arguments mean, and their closures. What is not here is fetched first where it is said from which
 * caches; what is here stays as it is.
 */
export async function resolveForRun(
  targets: readonly string[],
  options: RunCommandOptions,
  context: Context,
): Promise<RunTargets> {
  const here = await openLocalPaths(options.settings, context);
  const { store, own } = here;
  const {
    names,
    project,
    others,
    storePathsOf: storePathsOfToolchain,
  } = await toolchainsForRun(targets, here, options, context);
  const caches = await pullMissing(others, here, options, context);
  const found = await Promise.all(
    names.map(async (what) => storePathsOfToolchain(what) ?? storePathsOf(what, here, caches)),
  );
  const rootPaths = [...new Set(found.flat())];
  const { graph } = await runtimeClosure(store, rootPaths).catch((error) => {
    throw withPullHint(error, names);
  });
  const roots = rootPaths.map((path) => graph.get(path)!);
  const closure = [...new Set([...roots, ...graph.values()])];
  return { roots, closure, names, project, store, own };
}

/** Pulls what is not here, if it is said from where; gives the names of those caches. */
export async function pullMissing(
  targets: readonly string[],
  here: LocalPaths,
  options: FetchOptions & { readonly frozen?: boolean },
  context: Context,
): Promise<readonly string[] | undefined> {
  const urls = options.settings.from.value;
  if (urls.length === 0) return undefined;
  const caches = await namesOfCaches(urls, context);
  const missing = await missingOf(targets, here, caches);
  if (missing.length > 0) {
    const { pullArguments } = await import('../pull/request.js');
    await pullArguments(missing, { ...options, frozen: options.frozen ?? false, dryRun: false }, context);
  }
  return caches;
}

/** The names that records of pulled pins have for caches. */
async function namesOfCaches(urls: readonly CacheUrl[], { env }: Context): Promise<readonly string[]> {
  const { canonicalUrl } = await import('../../cache/open.js');
  return urls.map((url) => canonicalUrl(url, env));
}

/** Those of the arguments that mean nothing here, or something that is not whole. */
async function missingOf(
  targets: readonly string[],
  here: LocalPaths,
  caches: readonly string[],
): Promise<readonly string[]> {
  const areHere = targets.map(async (what) => {
    try {
      await runtimeClosure(here.store, await storePathsOf(what, here, caches));
      return true;
    } catch (error) {
      if (hasCode(error, 'E_NOT_FOUND')) return false;
      throw error;
    }
  });
  const found = await Promise.all(areHere);
  return targets.filter((_, index) => !found[index]);
}

/** A bare word is a pin that was pulled; from one of the caches, if they are named. A link has a `/`. */
async function storePathsOf(
  what: string,
  here: LocalPaths,
  caches: readonly string[] | undefined,
): Promise<readonly string[]> {
  if (parsePinReference(what)) {
    const paths = await pulledPaths(what, here, caches);
    if (paths) return paths;
    const isFile = (await lstat(what).catch(() => undefined)) !== undefined;
    const link = isFile ? `; if you mean what lies here, type \`./${what}\`` : '';
    throw withPullHint(new CarportError('E_NOT_FOUND', `the pin \`${what}\` was not pulled`), [what], link);
  }
  try {
    return [await resolveLocalPath(what, here)];
  } catch (error) {
    throw withPullHint(error, [what]);
  }
}

/** Says how to get it here. */
function withPullHint(error: unknown, targets: readonly string[], more = ''): unknown {
  if (!hasCode(error, 'E_NOT_FOUND')) return error;
  return new CarportError('E_NOT_FOUND', error.message, {
    cause: error.cause,
    hint: `fetch it first: \`carport pull ${targets.join(' ')} --from CACHE\`${more}`,
  });
}
