/** Bubblewrap's mounts for what the machine has in `/`, and for store paths. */

import { dirname } from 'node:path';
import { baseNameOf, DEFAULT_STORE_DIR } from '../nix/store-path.js';
import { type Forest, makeForest } from './forest.js';
import { type Host, type HostEntry, lookAtHost } from './host.js';
import type { PlacedPath } from './placed-path.js';

/** The options of bubblewrap that put paths where they say, beside all that the machine has. */
export interface Mounts {
  readonly options: readonly string[];
  /** Removes what was made for it; nothing may use it any more. */
  remove(): Promise<void>;
}

export interface MountsRequest {
  /** The most important first. */
  readonly paths: readonly PlacedPath[];
  /** For what a machine with a store of its own needs, the best first. */
  readonly temporaryDirectories: readonly string[];
  /** A file that is mounted, too: as long as it is somewhere, a process sees the paths. */
  readonly marker?: string | undefined;
}

/** Makes the mounts for paths. */
export async function makeMounts({ paths, temporaryDirectories, marker }: MountsRequest): Promise<Mounts> {
  const host = await lookAtHost();
  const nextPlace = freePlaces(host);
  const mark = marker === undefined ? [] : ['--ro-bind-try', marker, nextPlace()];
  const whole = host.storeNames.length === 0 ? commonDirectory(paths) : undefined;
  if (whole !== undefined) {
    return { options: mountOptions(host, [...wholeStore(whole), ...mark]), remove: async () => {} };
  }
  const forest = await makeForest({ paths, hostNames: host.storeNames, nextPlace }, temporaryDirectories);
  return { options: mountOptions(host, [...forestStore(forest), ...mark]), remove: forest.remove };
}

/** Gives names for mounts in `/nix`. Within another run there are those of that, and links lead through them. */
function freePlaces({ nix = [] }: Host): () => string {
  const taken = new Set(nix.map(({ name }) => name));
  let number = 0;
  return () => {
    let name: string;
    do name = `.carport-${number++}`;
    while (taken.has(name));
    return `/nix/${name}`;
  };
}

/** The directory that holds all paths under their own names. */
function commonDirectory(paths: readonly PlacedPath[]): string | undefined {
  const directories = new Set(paths.map(({ realPath }) => dirname(realPath)));
  const named = paths.every(({ path, realPath }) => baseNameOf(path) === baseNameOf(realPath));
  return named && directories.size === 1 ? [...directories][0] : undefined;
}

function wholeStore(directory: string): readonly string[] {
  return ['--ro-bind', directory, DEFAULT_STORE_DIR];
}

function forestStore({ directory, stores, binds }: Forest): readonly string[] {
  return [
    ...stores.flatMap(({ source, place }) => ['--ro-bind', source, place]),
    ...['--ro-bind', directory, DEFAULT_STORE_DIR],
    ...binds.flatMap(({ path, realPath }) => ['--ro-bind', realPath, path]),
  ];
}

/** Where there is no `/nix` to mount over, each entry of `/` is put into a new root beside one. */
function mountOptions({ top, nix }: Host, store: readonly string[]): readonly string[] {
  if (nix === undefined) {
    const others = top.flatMap((entry) => entryOptions('/', entry));
    return [...others, '--dir', '/nix', ...store, '--remount-ro', '/'];
  }
  const others = nix.flatMap((entry) => entryOptions('/nix/', entry));
  return ['--dev-bind', '/', '/', '--tmpfs', '/nix', ...others, ...store, '--remount-ro', '/nix'];
}

/** An entry may be gone by now. */
function entryOptions(prefix: string, { name, target }: HostEntry): readonly string[] {
  const path = prefix + name;
  return target === undefined ? ['--dev-bind-try', path, path] : ['--symlink', target, path];
}
