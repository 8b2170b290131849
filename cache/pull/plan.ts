/** What to fetch from where, and whether to trust it. */

import { createLimit } from '../../lib/concurrency.js';
import { hasCode } from '../../lib/errors.js';
import { topologicalOrder } from '../../lib/nix/closure.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { Store } from '../../lib/store/store.js';
import { walkReferences } from '../../lib/store/walk-references.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { type BatchReader, createBatchReader } from '../batches/reader.js';
import type { Sources } from '../fallback.js';
import { type FoundPath, findPath, NOT_WHAT_WAS_WANTED, type Wanted } from '../find-path.js';
import type { ReaderTrust } from '../keys/follow.js';
import { type LockedContent, requireSameHere } from '../toolchains/locked.js';
import type { Ahead } from './take-ahead.js';

/** Narinfos that are asked for at a time. */
const QUERIES_AT_ONCE = 64;

/** What is asked for. */
export interface WantedRoot {
  readonly hashPart: string;
  /** The whole path, where it is known: another name under its hash part is refused. */
  readonly path?: string;
  /** What a lock says of it. */
  readonly locked?: LockedContent;
}

export interface PullPlan {
  /** Store paths that were asked for. */
  readonly roots: readonly string[];
  /** What is to be fetched, dependencies first. */
  readonly fetch: readonly FoundPath[];
  /** How many paths of the closure the store has already. */
  readonly present: number;
  /** The closure, dependencies first. */
  readonly storePaths: readonly string[];
}

/**
 * Walks the narinfos breadth first from `wanted`, many at a time. Each must be signed as `trust` says. What the store
 * has is not asked for; what it lacks of the closure of that is: an own store may be damaged. What can be is taken `ahead`.
 * Roots are asked for by themselves, the others by batches where these help.
 */
export async function planPull(
  caches: readonly ObjectStore[],
  store: PlanStore,
  wanted: readonly WantedRoot[],
  trust: ReaderTrust,
  emit: Emit<WarningEvent>,
  ahead?: Pick<Ahead, 'prepare' | 'take'>,
): Promise<PullPlan> {
  const batches = createBatchReader();
  const sources = { caches, trust, emit: eachOnce(emit) };
  try {
    return await planWith(batches, sources, store, wanted, ahead);
  } catch (error) {
    // What was said of many at once may be old: then it leads nowhere, or in circles.
    if (!batches.hasHinted() || !hasCode(error, ...NOT_WHAT_WAS_WANTED)) throw error;
    return planWith(undefined, sources, store, wanted);
  }
}

/** Passes over what was told before: of two plans each may come upon the same. */
function eachOnce(emit: Emit<WarningEvent>): Emit<WarningEvent> {
  const told = new Set<string>();
  return (event) => {
    if (told.has(event.message)) return;
    told.add(event.message);
    emit(event);
  };
}

type PlanStore = Pick<Store, 'storeDir' | 'description' | 'queryInfos' | 'queryClosure' | 'queryHashParts'>;

async function planWith(
  batches: BatchReader | undefined,
  { caches, trust, emit }: Sources,
  store: PlanStore,
  wanted: readonly WantedRoot[],
  ahead?: Pick<Ahead, 'prepare' | 'take'>,
): Promise<PullPlan> {
  const limit = createLimit(QUERIES_AT_ONCE);
  const find = (root: WantedRoot & Pick<Wanted, 'referrer'>, together?: BatchReader) =>
    limit(() => findPath(caches, { path: undefined, ...root, storeDir: store.storeDir }, trust, emit, together));
  const found = new Map<string, FoundPath>();
  const note = (planned: FoundPath): NarInfo => {
    found.set(planned.info.path, planned);
    batches?.learn(planned.objects, planned.info);
    return planned.info;
  };

  const valid = await store.queryHashParts();
  const known = await knownPaths(
    store,
    wanted.flatMap(({ hashPart }) => valid.get(hashPart) ?? []),
  );
  if (wanted.some(({ hashPart }) => !known.has(hashPart))) ahead?.prepare();
  const roots = await Promise.all(
    wanted.map(async (root) => {
      const there = known.get(root.hashPart);
      if (there === undefined || (root.path ?? there.path) !== there.path) return note(await find(root)).path;
      if (root.locked) requireSameHere(there, root.locked, store.description);
      return there.path;
    }),
  );
  const local = new Map<string, PathInfo>();
  const takeAhead = async (paths: readonly string[]): Promise<ReadonlySet<string>> => {
    const taken = await ahead?.take(paths.filter((path) => !found.has(path) && valid.get(hashPartOf(path)) !== path));
    return new Set((taken ?? []).map((planned) => note(planned).path));
  };
  const graph = await walkReferences(roots, async (paths) => {
    const taken = await takeAhead(paths.filter((path) => !local.has(path)));
    const unknown = paths.filter((path) => !local.has(path) && !taken.has(path));
    // The whole closure at once: Nix is asked by running a program.
    const closure = unknown.length > 0 ? await store.queryClosure(unknown) : new Map<string, PathInfo>();
    for (const [path, info] of closure) local.set(path, info);
    const missing = unknown.filter((path) => !local.has(path) && !found.has(path));
    batches?.expect(missing.map(hashPartOf));
    await Promise.all(
      missing.map(async (path) => {
        const referrer = () => [...found.values()].find(({ info }) => info.references.includes(path));
        return note(await find({ hashPart: hashPartOf(path), path, referrer }, batches));
      }),
    );
    return new Map(paths.map((path) => [path, local.get(path) ?? found.get(path)!.info]));
  });
  const storePaths = topologicalOrder(graph).map(({ path }) => path);
  const fetch = storePaths.flatMap((path) => (local.has(path) ? [] : [found.get(path)!]));
  return { roots, fetch, present: graph.size - fetch.length, storePaths };
}

/** Those of the paths that are valid, by hash part. What Nix's store dir holds need not be valid, or not be a store path even. */
async function knownPaths(
  store: Pick<Store, 'queryInfos'>,
  paths: readonly string[],
): Promise<ReadonlyMap<string, PathInfo>> {
  const valid = [...(await store.queryInfos(paths)).values()];
  return new Map(valid.map((info) => [hashPartOf(info.path), info]));
}
