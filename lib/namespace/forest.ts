/** A directory that stands for a store in several places. */

import { chmod, lstat, mkdir, readlink, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { processesThatMount } from '../filesystem/mounted.js';
import { makePrivateDirectory } from '../filesystem/private-directory.js';
import { makeLinks, removeFiles } from '../filesystem/small-files.js';
import { keepYoung } from '../filesystem/temporary.js';
import { baseNameOf, DEFAULT_STORE_DIR } from '../nix/store-path.js';
import type { PlacedPath } from './placed-path.js';

/**
 * Paths that get a mount of their own, so that they are what their name says also for who resolves links. The others are
 * links: bubblewrap takes 0.3 s for 300 mounts, and 3 s for 1000.
 */
const MAX_BINDS = 100;

/** A directory that stands for a store which is in several places. */
export interface Forest {
  readonly directory: string;
  /** Where the forest's links lead. */
  readonly stores: readonly { readonly source: string; readonly place: string }[];
  /** What is mounted on places that the forest has for it. */
  readonly binds: readonly PlacedPath[];
  /** Removes it, unless it is mounted for a process that goes on; then a later forest's maker does. */
  remove(): Promise<void>;
}

/** What a forest is made for. */
export interface ForestRequest {
  readonly paths: readonly PlacedPath[];
  /** Of the machine's own store. */
  readonly hostNames: readonly string[];
  /** Gives places in `/nix` that nothing is at. */
  readonly nextPlace: () => string;
}

/**
 * Makes a directory with an entry for each name of the machine's own store and for each path, in the first of `parents`
 * where that works: memory is forty times as fast as a disk for so many links.
 */
export async function makeForest(request: ForestRequest, parents: readonly string[]): Promise<Forest> {
  const [parent, ...others] = parents;
  try {
    return await plant(parent!, request);
  } catch (error) {
    if (others.length === 0) throw error;
    return makeForest(request, others);
  }
}

async function plant(parent: string, { paths, hostNames, nextPlace }: ForestRequest): Promise<Forest> {
  const made = await makePrivateDirectory(parent);
  const directory = made.path;
  const letGo = keepYoung(directory);
  const sources = [...new Set([DEFAULT_STORE_DIR, ...paths.map(({ realPath }) => dirname(realPath))])];
  const stores = sources
    .filter((source) => source !== DEFAULT_STORE_DIR || hostNames.length > 0)
    .map((source) => ({ source, place: nextPlace() }));
  const placeOf = new Map(stores.map(({ source, place }) => [source, place]));
  const taken = new Set(paths.map(({ path }) => baseNameOf(path)));
  const elsewhere = paths.filter(({ path, realPath }) => path !== realPath);
  const links = new Map<string, string>();
  const addLink = (name: string, realPath: string) =>
    links.set(name, `${placeOf.get(dirname(realPath))}/${baseNameOf(realPath)}`);
  const remove = async () => {
    letGo();
    if ((await processesThatMount(basename(directory))).length > 0) return;
    // Much faster than to look first, and nobody else knows the directory.
    await removeFiles(directory, [...links.keys()]);
    await made.remove();
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
    await makeLinks(directory, links);
    // As a store is: the command may go on as another user.
    await chmod(directory, 0o755);
    return { directory, stores, binds, remove };
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
