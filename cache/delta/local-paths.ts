/** Local paths to take chunks from: the pin's earlier ones, then those of the same name, then those of another version. */

import { hashPartList } from '../../lib/compression/chunks/hash-parts.js';
import { CarportError } from '../../lib/errors.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { nameOf } from '../../lib/nix/store-path.js';
import type { Store } from '../../lib/store/store.js';
import type { LocalTree } from '../../lib/workers/jobs.js';
import { type NamedPaths, namePaths } from './names.js';

/** A path that is here: where, and what is known of it. */
export interface LocalPath extends LocalTree {
  readonly info: PathInfo;
}

/** Opens a store to take from, when it is needed; `undefined` where there is none. */
export type OpenStore = () => Promise<Store | undefined>;

/** Paths of one name that are looked at, and those that are taken from. */
const MOST_ASKED = 12;
const MOST_TAKEN = 3;

/** A path that is so many times as large holds little of another one, and takes long to read. */
const MOST_LARGER = 4;
const SMALL = 16 * 1024 * 1024;

interface NamedStore {
  readonly store: Store;
  readonly names: NamedPaths;
  readonly paths: ReadonlySet<string>;
}

/** The stores of this machine, of which each is opened when those before it have not enough. */
export function createLocalPaths(open: readonly OpenStore[], storeDir: string) {
  const opened = new Map<OpenStore, Promise<NamedStore | undefined>>();
  const named = (openStore: OpenStore): Promise<NamedStore | undefined> => {
    const found = opened.get(openStore) ?? nameStore(openStore, storeDir);
    opened.set(openStore, found);
    return found;
  };
  return {
    /** For each path those that may hold much of it, the best first. `preferred` before others of the same name. */
    async like(
      wanted: readonly PathInfo[],
      preferred: readonly string[],
    ): Promise<ReadonlyMap<string, readonly LocalPath[]>> {
      const before = namePaths(preferred, MOST_ASKED);
      const found = new Map<string, readonly LocalPath[]>();
      for (const openStore of open) {
        const missing = wanted.filter(({ path }) => !found.has(path));
        const at = missing.length > 0 ? await named(openStore) : undefined;
        if (at) for (const [path, locals] of await look(at, missing, before)) found.set(path, locals);
      }
      return found;
    },
    /** Whether a place on disk is one of a store that was looked at, and nothing is there. */
    async gone(): Promise<(realPath: string) => boolean> {
      const stores = (await Promise.all(opened.values())).filter((at) => at !== undefined);
      return (realPath) =>
        stores.some(({ store, paths }) =>
          store.realStoreDirs.some(
            (directory) =>
              realPath.startsWith(`${directory}/`) && !paths.has(storeDir + realPath.slice(directory.length)),
          ),
        );
    },
  };
}

/** A store that cannot be asked is as if there were none: everything can be fetched. */
async function nameStore(openStore: OpenStore, storeDir: string): Promise<NamedStore | undefined> {
  try {
    const store = await openStore();
    if (store === undefined || store.storeDir !== storeDir) return undefined;
    const paths = new Set((await store.queryHashParts()).values());
    return { store, names: namePaths(paths, MOST_ASKED), paths };
  } catch {
    return undefined;
  }
}

async function look(
  { store, names, paths }: NamedStore,
  wanted: readonly PathInfo[],
  before: NamedPaths,
): Promise<readonly (readonly [string, readonly LocalPath[]])[]> {
  const candidates = wanted.map((info) => {
    const first = before.like(info.path).filter((path) => paths.has(path));
    return { info, first, all: [...new Set([...first, ...names.like(info.path)])].slice(0, MOST_ASKED) };
  });
  const asked = [...new Set(candidates.flatMap(({ all }) => all))];
  const infos = asked.length > 0 ? await infosOf(store, asked) : undefined;
  if (infos === undefined) return [];
  return candidates.flatMap(({ info, first, all }) => {
    const known = all.flatMap((path) => infos.get(path) ?? []).filter((local) => isOfUse(local, info));
    const best = known.sort((a, b) => distance(a, info, first) - distance(b, info, first)).slice(0, MOST_TAKEN);
    const locals = best.map((local) => ({ info: local, path: store.realPath(local), list: hashPartList(local) }));
    return locals.length > 0 ? [[info.path, locals] as const] : [];
  });
}

function isOfUse(local: PathInfo, wanted: PathInfo): boolean {
  return local.narSize <= wanted.narSize * MOST_LARGER + SMALL;
}

/** Less is better: what a pin stood for, the same name, the same size. */
function distance(local: PathInfo, wanted: PathInfo, first: readonly string[]): number {
  const kind = first.includes(local.path) ? 0 : nameOf(local.path) === nameOf(wanted.path) ? 1 : 2;
  const difference = Math.abs(local.narSize - wanted.narSize);
  return kind + difference / (difference + wanted.narSize + 1);
}

/** As of a store that cannot be asked. */
async function infosOf(store: Store, paths: readonly string[]): Promise<ReadonlyMap<string, PathInfo> | undefined> {
  try {
    return await store.queryInfos(paths);
  } catch (error) {
    if (error instanceof CarportError) return undefined;
    throw error;
  }
}
