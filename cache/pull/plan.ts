/** What to fetch from where, and whether to trust it. */

import { createLimit } from '../../lib/concurrency.js';
import { CarportError } from '../../lib/errors.js';
import { topologicalOrder } from '../../lib/nix/closure.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import type { Store } from '../../lib/store/store.js';
import { walkReferences } from '../../lib/store/walk-references.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { checkStoreDir, requireCacheInfo } from '../binary-cache.js';
import { type FoundPath, findPath } from '../find-path.js';

/** Narinfos that are asked for at a time. */
const QUERIES_AT_ONCE = 64;

/** What is asked for. */
export interface WantedRoot {
  readonly hashPart: string;
  /** The whole path, where it is known: another name under its hash part is refused. */
  readonly path?: string;
}

export interface PullPlan {
  /** Store paths that were asked for. */
  readonly roots: readonly string[];
  /** What is to be fetched, dependencies first. */
  readonly fetch: readonly FoundPath[];
  /** How many paths of the closure the store has already. */
  readonly present: number;
}

/**
 * Caches in the order in which they are asked: by priority, the lower first, then as given. One that does not answer, or
 * is no cache, is passed over with a warning while there is another.
 */
export async function orderCaches(
  caches: readonly ObjectStore[],
  storeDir: string,
  emit: Emit<WarningEvent>,
): Promise<readonly ObjectStore[]> {
  const asked = await Promise.allSettled(
    caches.map(async (objects) => {
      const info = await requireCacheInfo(objects);
      checkStoreDir(objects, info.storeDir, storeDir);
      return { objects, priority: info.priority ?? 0 };
    }),
  );
  const good = asked.filter((result) => result.status === 'fulfilled').map(({ value }) => value);
  const failed = asked.filter((result) => result.status === 'rejected').map(({ reason }) => reason as unknown);
  for (const reason of failed) {
    if (good.length === 0 || !(reason instanceof CarportError)) throw reason;
    emit({ type: 'warning', message: `${reason.message}; going on without it` });
  }
  return good.sort((a, b) => a.priority - b.priority).map(({ objects }) => objects);
}

/**
 * Walks the narinfos breadth first from `wanted`, many at a time. Each must be signed as `trust` says. What the store
 * has is not asked for; what it lacks of the closure of that is: an own store may be damaged.
 */
export async function planPull(
  caches: readonly ObjectStore[],
  store: Pick<Store, 'storeDir' | 'queryInfos' | 'queryClosure' | 'queryHashParts'>,
  wanted: readonly WantedRoot[],
  trust: TrustPolicy,
  emit: Emit<WarningEvent>,
): Promise<PullPlan> {
  const limit = createLimit(QUERIES_AT_ONCE);
  const find = (hashPart: string, path?: string) =>
    limit(() => findPath(caches, { hashPart, path, storeDir: store.storeDir }, trust, emit));
  const found = new Map<string, FoundPath>();
  const note = (planned: FoundPath): NarInfo => {
    found.set(planned.info.path, planned);
    return planned.info;
  };

  const known = await knownPaths(
    store,
    wanted.map(({ hashPart }) => hashPart),
  );
  const roots = await Promise.all(
    wanted.map(async ({ hashPart, path }) => {
      const there = known.get(hashPart);
      return there !== undefined && (path ?? there) === there ? there : note(await find(hashPart, path)).path;
    }),
  );
  const local = new Map<string, PathInfo>();
  const graph = await walkReferences(roots, async (paths) => {
    const unknown = paths.filter((path) => !local.has(path));
    // The whole closure at once: Nix is asked by running a program.
    const closure = unknown.length > 0 ? await store.queryClosure(unknown) : new Map<string, PathInfo>();
    for (const [path, info] of closure) local.set(path, info);
    const missing = unknown.filter((path) => !local.has(path));
    const infos = missing.map(async (path) => found.get(path)?.info ?? note(await find(hashPartOf(path), path)));
    const fetched = new Map((await Promise.all(infos)).map((info) => [info.path, info]));
    return new Map(paths.map((path) => [path, local.get(path) ?? fetched.get(path)!]));
  });
  const fetch = topologicalOrder(graph).flatMap(({ path }) => (local.has(path) ? [] : [found.get(path)!]));
  return { roots, fetch, present: graph.size - fetch.length };
}

/** The valid paths of these hash parts. What Nix's store dir holds need not be valid, or not be a store path even. */
async function knownPaths(
  store: Pick<Store, 'queryInfos' | 'queryHashParts'>,
  hashParts: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const all = await store.queryHashParts();
  const paths = hashParts.map((hashPart) => all.get(hashPart)).filter((path) => path !== undefined);
  const valid = [...(await store.queryInfos(paths)).keys()];
  return new Map(valid.map((path) => [hashPartOf(path), path]));
}
