import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import pLimit from 'p-limit';
import { isErrno } from '../errors.js';
import { isThere, namesIn } from '../filesystem/presence.js';
import { moveFile } from '../filesystem/small-files.js';
import { createTemporaryNames, removeLeftovers, removeTree } from '../filesystem/temporary.js';
import { type PathGraph, reachableFrom } from '../nix/closure.js';
import { baseNameOf, isStoreBaseName } from '../nix/store-path.js';
import { type ActivityOptions, isBeingWritten, withStoreCollection } from './activity.js';
import type { OwnStore } from './own-store.js';
import { listRoots, type Root, staleRoots } from './roots.js';
import { unregister } from './unregister.js';

/** Trees that are removed at a time. */
const REMOVALS_AT_ONCE = 4;

export interface Garbage {
  /** Registered paths that no root reaches, sorted. */
  readonly storePaths: readonly string[];
  /** The sum of their NARs' sizes. */
  readonly narSize: number;
  /** Paths that stay. */
  readonly kept: number;
  /** Names of entries of the store dir that are not registered: left by something that was killed. */
  readonly unregistered: readonly string[];
  /** Roots, and those of their paths that are not registered. */
  readonly incompleteRoots: readonly { readonly root: Root; readonly missing: readonly string[] }[];
  /** Nix keeps its paths in the same store dir: files are left to its own collector. */
  readonly sharedWithNix: boolean;
  /** Somebody adds paths just now, which count as garbage until they are linked or pinned. */
  readonly beingWritten: boolean;
}

/** What a collection would remove now. Nothing is changed. */
export async function findGarbage(store: OwnStore): Promise<Garbage> {
  return (await survey(store)).garbage;
}

/**
 * Removes every path that no root reaches, and what killed runs left. Writers are kept away while paths are chosen and
 * lose registration and name, which is short; what takes long, removing trees, is done beside them.
 */
export async function collectGarbage(store: OwnStore, options: ActivityOptions = {}): Promise<Garbage> {
  const { layout } = store;
  // Where carport has never written there is nothing of its own, whatever a store dir is there.
  if (!(await isThere(layout.infoDir))) return (await survey(store)).garbage;
  const { garbage, doomed } = await withStoreCollection(
    store,
    async () => {
      const { garbage, graph } = await survey(store);
      await unregister(store, new Map(garbage.storePaths.map((path) => [path, graph.get(path)!])));
      for (const note of await staleRoots(store)) await rm(note, { force: true });
      return { garbage, doomed: await takeNames(store, garbage) };
    },
    options,
  );
  const limit = pLimit(REMOVALS_AT_ONCE);
  await allDone(doomed.map((tree) => limit(() => removeTree(tree))));
  for (const directory of [layout.realStoreDir, layout.infoDir, layout.rootsDir, layout.pinsDir, layout.activeDir]) {
    await removeLeftovers(directory);
  }
  return garbage;
}

async function survey(store: OwnStore): Promise<{ readonly garbage: Garbage; readonly graph: PathGraph }> {
  const { layout } = store;
  const ours = await isThere(layout.infoDir);
  const sharedWithNix = await isThere(layout.nixStateDir);
  const roots = await listRoots(store);
  const graph = await store.queryAll();
  const kept = reachableFrom(
    graph,
    roots.flatMap(({ storePaths }) => storePaths),
  );
  const unreached = [...graph.values()].filter(({ path }) => !kept.has(path));
  const names = ours && !sharedWithNix ? await namesIn(layout.realStoreDir) : [];
  const missing = (root: Root) => root.storePaths.filter((path) => !graph.has(path));
  const garbage: Garbage = {
    storePaths: unreached.map(({ path }) => path).sort(),
    narSize: unreached.reduce((sum, { narSize }) => sum + narSize, 0),
    kept: kept.size,
    unregistered: names.filter((name) => isStoreBaseName(name) && !graph.has(`${store.storeDir}/${name}`)),
    incompleteRoots: roots.map((root) => ({ root, missing: missing(root) })).filter((each) => each.missing.length > 0),
    sharedWithNix,
    beingWritten: await isBeingWritten(store),
  };
  return { garbage, graph };
}

/** Renames what goes, so that no half of a tree is ever at a store path. Gives the new names. */
async function takeNames({ layout }: OwnStore, garbage: Garbage): Promise<readonly string[]> {
  // Nix may have registered the same paths for itself.
  if (garbage.sharedWithNix) return [];
  const temporaryName = await createTemporaryNames(layout.realStoreDir);
  const names = [...garbage.storePaths.map(baseNameOf), ...garbage.unregistered];
  return (
    await allDone(
      names.map(async (name) => {
        const doomed = temporaryName();
        try {
          await moveFile(join(layout.realStoreDir, name), doomed);
          return [doomed];
        } catch (error) {
          if (isErrno(error, 'ENOENT')) return [];
          throw error;
        }
      }),
    )
  ).flat();
}

/** Fails when one fails, but not before all have ended: nothing may go on when writers are let in again. */
async function allDone<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
