import { CarportError } from '../lib/errors.js';
import type { PathInfo } from '../lib/nix/narinfo.js';
import { isHashPart } from '../lib/nix/store-path.js';
import { runtimeClosure } from '../lib/store/closure.js';
import { NIX, openStoreForReading, openStoreForWriting } from '../lib/store/open.js';
import type { OwnStore } from '../lib/store/own-store.js';
import { isPinReference, readPulledPin } from '../lib/store/pulled-pins.js';
import { resolveStorePath } from '../lib/store/resolve.js';
import type { Store } from '../lib/store/store.js';
import type { PullCommandOptions } from './actions/pull.js';
import { settingsOf } from './command.js';
import type { Context } from './context.js';
import { singleValue } from './settings.js';

/** What a command is run with. */
export interface RunTargets {
  /** The store paths that were named. */
  readonly roots: readonly PathInfo[];
  /** Their closure, the roots first. */
  readonly closure: readonly PathInfo[];
  /** Where a path of the closure is. */
  realPathOf(path: string): string;
  /** carport's own store, if it was looked into. */
  readonly own: OwnStore | undefined;
}

/**
 * The store paths that arguments mean, and their closures. What is not here is fetched first where it is said from which
 * caches; what is here stays as it is.
 */
export async function resolveForRun(
  whats: readonly string[],
  options: PullCommandOptions,
  context: Context,
): Promise<RunTargets> {
  const settings = await settingsOf({ ...options }, context);
  const selection = singleValue(settings.store);
  const store = await openStoreForReading(selection, context.env);
  const own = selection === NIX ? undefined : openStoreForWriting(selection, context.env);
  if (settings.from.values.length > 0) {
    const missing = await missingOf(whats, store, own);
    if (missing.length > 0) await (await import('./actions/pull.js')).pullPaths(missing, options, context);
  }
  const found = await Promise.all(whats.map((what) => storePathsOf(what, store, own)));
  const rootPaths = [...new Set(found.flat())];
  const { graph } = await runtimeClosure(store, rootPaths).catch((error) => {
    throw withPullHint(error, whats);
  });
  const roots = rootPaths.map((path) => graph.get(path)!);
  const closure = [...new Set([...roots, ...graph.values()])];
  return { roots, closure, realPathOf: (path) => store.realPath(graph.get(path)!), own };
}

/** Those of the arguments that mean nothing here, or something that is not whole. */
async function missingOf(
  whats: readonly string[],
  store: Store,
  own: OwnStore | undefined,
): Promise<readonly string[]> {
  const areHere = whats.map(async (what) => {
    try {
      await runtimeClosure(store, await storePathsOf(what, store, own));
      return true;
    } catch (error) {
      if (isNotThere(error)) return false;
      throw error;
    }
  });
  const here = await Promise.all(areHere);
  return whats.filter((_, index) => !here[index]);
}

/** A pin that was pulled, a hash part, a store path or the base name of one, a link to one: the first of these. */
async function storePathsOf(what: string, store: Store, own: OwnStore | undefined): Promise<readonly string[]> {
  const pin = own && (await readPulledPin(own, what));
  if (pin) return pin.storePaths;
  if (isHashPart(what)) {
    const path = (await store.queryHashParts()).get(what);
    if (path !== undefined) return [path];
  }
  try {
    return [await resolveStorePath(what, store)];
  } catch (error) {
    // A file of that name here says nothing of a pin.
    if (!isNotThere(error) && !isPinReference(what)) throw error;
    const kind = isPinReference(what) ? 'neither a pin that was pulled, nor a store path or a link to one' : 'not here';
    throw withPullHint(new CarportError('E_NOT_FOUND', `\`${what}\` is ${kind}`), [what]);
  }
}

/** Says how to get it here. */
function withPullHint(error: unknown, whats: readonly string[]): unknown {
  if (!isNotThere(error)) return error;
  return new CarportError('E_NOT_FOUND', error.message, {
    cause: error.cause,
    hint: `fetch it first: \`carport pull ${whats.join(' ')} --from CACHE\``,
  });
}

function isNotThere(error: unknown): error is CarportError {
  return error instanceof CarportError && error.code === 'E_NOT_FOUND';
}
