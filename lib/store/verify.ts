import { isErrno } from '../errors.js';
import { isThere, namesIn } from '../filesystem/presence.js';
import { isTemporaryName } from '../filesystem/temporary.js';
import type { PathGraph } from '../nix/closure.js';
import { formatHash, hashesEqual } from '../nix/hash.js';
import type { PathInfo } from '../nix/narinfo.js';
import type { WorkerPool } from '../workers/pool.js';
import { type ActivityOptions, withStoreCollection } from './activity.js';
import type { OwnStore } from './own-store.js';
import type { Store } from './store.js';
import { unregister } from './unregister.js';
import { missingReferences } from './walk-references.js';

/** What is wrong with a path of a store. */
export interface StoreProblem {
  readonly path: string;
  readonly problem: 'missing' | 'damaged' | 'incomplete';
  readonly detail: string;
}

export interface VerifyResult {
  readonly checked: number;
  readonly problems: readonly StoreProblem[];
  /** Entries of the store dir that are not registered: left by something that was killed. Harmless. */
  readonly unregistered: readonly string[];
}

/**
 * Hashes paths of a store again, and checks that their references are valid: there or in one of the stores `known`, which
 * `addToStore` counted on. All paths when none are given.
 */
export async function verifyStore(
  store: OwnStore,
  known: Store,
  pool: WorkerPool,
  only?: readonly string[],
  onChecked?: (path: string) => void,
): Promise<VerifyResult> {
  const all = await store.queryAll();
  const checked = only ? await store.queryInfos(only) : all;
  const outside = missingReferences(checked).map(({ path }) => path);
  const valid = new Set([...all.keys(), ...(await known.queryInfos([...new Set(outside)])).keys()]);
  const problems = await Promise.all(
    [...checked.values()].map(async (info) => {
      const found = [...(await contentProblems(store, pool, info)), ...referenceProblems(info, valid)];
      onChecked?.(info.path);
      return found;
    }),
  );
  const unregistered = only ? [] : await unregisteredEntries(store, all);
  return { checked: checked.size, problems: await withoutCollected(store, problems.flat()), unregistered };
}

/**
 * Takes away the registration of what is damaged, and of all that refers to it: the next pull or `addToStore` brings it
 * again, and replaces the files. Gives the paths.
 */
export function unregisterDamaged(
  store: OwnStore,
  problems: readonly StoreProblem[],
  options: ActivityOptions = {},
): Promise<readonly string[]> {
  return withStoreCollection(
    store,
    async () => {
      const graph = await store.queryAll();
      const doomed = referrersOf(
        graph,
        problems.map(({ path }) => path),
      );
      await unregister(store, doomed);
      return [...doomed.keys()].sort();
    },
    options,
  );
}

/** The paths, and all that refer to them, directly or not. */
function referrersOf(graph: PathGraph, paths: readonly string[]): PathGraph {
  const referrers = new Map<string, string[]>();
  for (const { path, references } of graph.values()) {
    for (const reference of references) {
      const known = referrers.get(reference);
      if (known) known.push(path);
      else referrers.set(reference, [path]);
    }
  }
  const found = new Set(paths.filter((path) => graph.has(path)));
  for (const path of found) for (const referrer of referrers.get(path) ?? []) found.add(referrer);
  return new Map([...found].map((path) => [path, graph.get(path)!]));
}

/** What a garbage collection has removed in the meantime was no problem. */
async function withoutCollected(store: Store, problems: readonly StoreProblem[]): Promise<readonly StoreProblem[]> {
  const registered = await store.queryInfos([...new Set(problems.map(({ path }) => path))]);
  return problems.filter(({ path }) => registered.has(path));
}

async function contentProblems(store: OwnStore, pool: WorkerPool, info: PathInfo): Promise<readonly StoreProblem[]> {
  const { path } = info;
  try {
    const { narHash } = await pool.run({ type: 'hash', path: store.realPath(info) });
    if (hashesEqual(narHash, info.narHash)) return [];
    const detail = `its hash is ${formatHash(narHash, 'sri')}, not ${formatHash(info.narHash, 'sri')}`;
    return [{ path, problem: 'damaged', detail }];
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [{ path, problem: 'missing', detail: 'its files are gone' }];
    return [{ path, problem: 'damaged', detail: error instanceof Error ? error.message : String(error) }];
  }
}

function referenceProblems({ path, references }: PathInfo, valid: ReadonlySet<string>): readonly StoreProblem[] {
  return references
    .filter((reference) => !valid.has(reference))
    .map((reference) => ({ path, problem: 'incomplete', detail: `it refers to \`${reference}\`, which is not valid` }));
}

async function unregisteredEntries(store: OwnStore, all: PathGraph): Promise<readonly string[]> {
  // Nix's own paths are none of ours.
  if (await isThere(store.layout.nixStateDir)) return [];
  const names = await namesIn(store.layout.realStoreDir);
  return names.filter((name) => !isTemporaryName(name) && !all.has(`${store.storeDir}/${name}`));
}
