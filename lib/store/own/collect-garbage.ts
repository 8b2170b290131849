/** Removes what no root reaches. */

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { allDone, mapAtMost } from '../../concurrency.js';
import { CarportError, isErrno } from '../../errors.js';
import { isThere } from '../../filesystem/exists.js';
import { moveFile } from '../../filesystem/small-files.js';
import { createTemporaryNames, removeLeftovers, removeTree } from '../../filesystem/temporary.js';
import type { PathGraph } from '../../nix/closure.js';
import { baseNameOf, hashPartOf } from '../../nix/store-path.js';
import { removeLeftTrees } from './begun/left-trees.js';
import { removePartials } from './begun/partials.js';
import { chosen, type Going, isList, requireNoneRunning } from './going.js';
import { isBeingWritten } from './lock/holders.js';
import { type LockOptions, withStoreCollection } from './lock/lock.js';
import type { Registrations } from './metadata.js';
import type { OwnStore } from './own-store.js';
import { claimedHashParts } from './ownership-records.js';
import { dropRoots, type Root, readRoots } from './roots.js';
import { unregister } from './unregister.js';
import { unregisteredEntries } from './unregistered.js';

/** Trees that are removed at a time. */
const REMOVALS_AT_ONCE = 4;

export interface Garbage {
  /** Registered paths that no root reaches, sorted. */
  readonly storePaths: readonly string[];
  /** The sum of their NARs' sizes. */
  readonly narSize: number;
  /** Paths that stay. */
  readonly kept: number;
  /** Names of entries of the store dir that are carport's and not registered: left by a killed run, or given up. */
  readonly unregistered: readonly string[];
  /** Names of entries that are not registered, and of which nothing says that they are carport's: they stay. */
  readonly leftAlone: readonly string[];
  /** Roots, and those of their paths that are not registered. */
  readonly incompleteRoots: readonly { readonly root: Root; readonly missing: readonly string[] }[];
  /** Roots of which it is not known what they need: while they are there nothing is removed. */
  readonly keptForAll: readonly string[];
  /** Out-links and pins that go with the paths that they keep. */
  readonly droppedRoots: readonly Root[];
  /** Nix keeps its paths in the same store dir: files are left to its own collector. */
  readonly sharedWithNix: boolean;
  /** Somebody adds paths just now, which count as garbage until they are linked or pinned. */
  readonly beingWritten: boolean;
}

/** What a collection would remove now. Nothing is changed. Throws as `collectGarbage` does where something is in use. */
export async function findGarbage(store: OwnStore, going: Going = 'garbage'): Promise<Garbage> {
  return (await survey(store, going)).garbage;
}

/**
 * Removes every path that no root reaches, and what killed runs left. What a root needs stays, also where it is not
 * registered (any more). Writers are kept away while paths are chosen and
 * lose registration and name, which is short; what takes long, removing trees, is done beside them. Of `all`, roots go
 * first: what a killed run leaves of it is garbage. Throws `E_UNAVAILABLE` where what is to go is in use.
 */
export async function collectGarbage(
  store: OwnStore,
  options: LockOptions & { readonly going?: Going } = {},
): Promise<Garbage> {
  const { layout } = store;
  const { going: wanted = 'garbage' } = options;
  // Where carport has never written there is nothing of its own, whatever a store dir is there.
  if (!(await isThere(layout.infoDir))) return (await survey(store, wanted)).garbage;
  const { garbage, doomed, stays } = await withStoreCollection(
    store,
    async () => {
      const { garbage, graph, reached, staleNotes } = await survey(store, wanted);
      await dropRoots(store, garbage.droppedRoots);
      const going = new Map(garbage.storePaths.map((path) => [path, graph.get(path)!]));
      await unregister(store, going);
      await allDone(staleNotes.map((note) => rm(note, { force: true })));
      const removable = [...going.values()].filter(({ found }) => !found).map(({ path }) => baseNameOf(path));
      const doomed = garbage.sharedWithNix ? [] : await takeNames(store, [...removable, ...garbage.unregistered]);
      await dropRecords(store, reached, graph);
      const stays = [...graph.values()].filter(({ path }) => !going.has(path));
      return { garbage, doomed, stays };
    },
    options,
  );
  await mapAtMost(REMOVALS_AT_ONCE, doomed, removeTree);
  await removePartials(layout, { all: wanted === 'all' });
  await removeLeftTrees(layout, { all: wanted === 'all', there: stays });
  for (const directory of [layout.realStoreDir, layout.infoDir, layout.rootsDir, layout.pinsDir, layout.activeDir]) {
    await removeLeftovers(directory);
  }
  return garbage;
}

interface Survey {
  readonly garbage: Garbage;
  readonly graph: Registrations;
  /** What roots name and all that this refers to, as far as it is known; also what is not registered. */
  readonly reached: ReadonlySet<string>;
  readonly staleNotes: readonly string[];
}

async function survey(store: OwnStore, going: Going): Promise<Survey> {
  const { layout } = store;
  const sharedWithNix = await isThere(layout.nixStateDir);
  const { roots: found, staleNotes } = await readRoots(store);
  const [roots, droppedRoots] = going === 'all' ? [requireNoneRunning(found, store), found] : [found, []];
  const graph = await store.queryAll();
  const { ours, others, records } = await unregisteredEntries(store, graph);
  const claimed = records.flatMap(({ info }) => (info ? [[info.path, info] as const] : []));
  const known: PathGraph = new Map([...claimed, ...graph]);
  const needsAll = roots.filter((root) => root.needsAll);
  // It may be something that is not registered any more.
  const reached =
    needsAll.length > 0 ? new Set([...known.keys(), ...reachedFrom(known, roots)]) : reachedFrom(known, roots);
  const isReached = (name: string) => reached.has(`${store.storeDir}/${name}`);
  requireKnown([...ours, ...others].filter(isReached), known, store);
  const unreached = chosen(going, graph, reached, roots, store);
  const missing = (root: Root) => root.storePaths.filter((path) => !graph.has(path));
  const garbage: Garbage = {
    storePaths: unreached.map(({ path }) => path).sort(),
    narSize: unreached.reduce((sum, { narSize }) => sum + narSize, 0),
    kept: graph.size - unreached.length,
    unregistered: needsAll.length > 0 || isList(going) ? [] : ours.filter((name) => !isReached(name)),
    keptForAll: needsAll.map(({ name }) => name),
    leftAlone: others,
    droppedRoots,
    incompleteRoots: roots.map((root) => ({ root, missing: missing(root) })).filter((each) => each.missing.length > 0),
    sharedWithNix,
    beingWritten: await isBeingWritten(store),
  };
  return { garbage, graph, reached, staleNotes };
}

function reachedFrom(known: PathGraph, roots: readonly Root[]): ReadonlySet<string> {
  const reached = new Set(roots.flatMap(({ storePaths }) => storePaths));
  for (const path of reached) for (const reference of known.get(path)?.references ?? []) reached.add(reference);
  return reached;
}

/** Of a tree that is in use and of which nothing is known it cannot be told what else must stay. */
function requireKnown(reachedNames: readonly string[], known: PathGraph, { storeDir, description }: OwnStore): void {
  const path = reachedNames.map((name) => `${storeDir}/${name}`).find((each) => !known.has(each));
  if (path === undefined) return;
  throw new CarportError('E_INTEGRITY', `\`${path}\` is in use, and it is not known what it needs`, {
    cause: new Error(`its files are in ${description}, but it is not registered`),
    hint: 'pull or add it again; or drop what uses it, which `carport store ls --roots` prints',
  });
}

/** Renames what goes, so that no half of a tree is ever at a store path. Gives the new names. */
async function takeNames({ layout }: OwnStore, names: readonly string[]): Promise<readonly string[]> {
  const temporaryName = await createTemporaryNames(layout.realStoreDir);
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

/** Removes records of what is gone. What is in use and not registered keeps them: they tell what it needs. */
async function dropRecords(store: OwnStore, reached: ReadonlySet<string>, graph: PathGraph): Promise<void> {
  const used = new Set([...reached].filter((path) => !graph.has(path)).map(hashPartOf));
  const records = [...(await claimedHashParts(store.layout))].filter(([hashPart]) => !used.has(hashPart));
  await allDone(records.flatMap(([, files]) => files.map((file) => rm(file, { force: true }))));
}
