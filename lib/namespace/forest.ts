import { chmod, lstat, mkdir, readlink, symlink, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createTemporaryNames, removeLeftovers, removeTree } from '../filesystem/temporary.js';
import { baseNameOf, DEFAULT_STORE_DIR } from '../nix/store-path.js';
import type { PlacedPath } from './placed-path.js';

/**
 * Paths that get a mount of their own, so that they are what their name says also for who resolves links. The others are
 * links: bubblewrap takes 0.3 s for 300 mounts, and 3 s for 1000.
 */
const MAX_BINDS = 100;

/** System calls under way, which a few threads do. */
const AT_ONCE = 16;

/** A directory that stands for a store which is in several places. */
export interface Forest {
  readonly directory: string;
  /** Where the forest's links lead. */
  readonly stores: readonly { readonly source: string; readonly place: string }[];
  /** What is mounted on places that the forest has for it. */
  readonly binds: readonly PlacedPath[];
  remove(): Promise<void>;
}

/**
 * Makes a directory with an entry for each name of the machine's own store and for each of `paths`, in the first of
 * `places` where that works: memory is forty times as fast as a disk for so many links.
 */
export async function makeForest(
  paths: readonly PlacedPath[],
  hostNames: readonly string[],
  places: readonly string[],
): Promise<Forest> {
  const [place, ...others] = places;
  try {
    return await plant(place!, paths, hostNames);
  } catch (error) {
    if (others.length === 0) throw error;
    return makeForest(paths, hostNames, others);
  }
}

async function plant(parent: string, paths: readonly PlacedPath[], hostNames: readonly string[]): Promise<Forest> {
  await removeLeftovers(parent);
  const directory = (await createTemporaryNames(parent))();
  await mkdir(directory, { mode: 0o700 });
  const sources = [...new Set([DEFAULT_STORE_DIR, ...paths.map(({ realPath }) => dirname(realPath))])];
  const stores = sources.map((source, index) => ({ source, place: `/nix/.carport-store-${index}` }));
  const placeOf = new Map(stores.map(({ source, place }) => [source, place]));
  const taken = new Set(paths.map(({ path }) => baseNameOf(path)));
  const elsewhere = paths.filter(({ path, realPath }) => path !== realPath);
  const links = new Map<string, string>();
  const addLink = (name: string, realPath: string) =>
    links.set(name, `${placeOf.get(dirname(realPath))}/${baseNameOf(realPath)}`);
  const remove = async () => {
    // Much faster than to look first, and nobody else knows the directory.
    await forEach([...links.keys()], (name) => unlink(join(directory, name)).catch(() => undefined));
    await removeTree(directory);
  };
  try {
    for (const name of hostNames) if (!taken.has(name)) addLink(name, `${DEFAULT_STORE_DIR}/${name}`);
    for (const { path, realPath } of paths) {
      if (path === realPath) addLink(baseNameOf(path), realPath);
    }
    const binds: PlacedPath[] = [];
    for (const placed of elsewhere) {
      const name = baseNameOf(placed.path);
      if (binds.length < MAX_BINDS && (await makePlace(join(directory, name), placed.realPath))) binds.push(placed);
      else if (binds.length >= MAX_BINDS) addLink(name, placed.realPath);
    }
    await forEach([...links], ([name, target]) => symlink(target, join(directory, name)));
    // As a store is: the command may go on as another user.
    await chmod(directory, 0o755);
    return { directory, stores: stores.filter(({ source }) => isNeeded(source, hostNames)), binds, remove };
  } catch (error) {
    await remove().catch(() => undefined);
    throw error;
  }
}

/** Makes what a path can be mounted on. Links cannot be mounted: one that is a store path itself is made again. */
async function makePlace(place: string, realPath: string): Promise<boolean> {
  const stats = await lstat(realPath);
  if (stats.isSymbolicLink()) await symlink(await readlink(realPath), place);
  else if (stats.isDirectory()) await mkdir(place);
  else await writeFile(place, '');
  return !stats.isSymbolicLink();
}

function isNeeded(source: string, hostNames: readonly string[]): boolean {
  return source !== DEFAULT_STORE_DIR || hostNames.length > 0;
}

async function forEach<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < items.length) await work(items[next++]!);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}
