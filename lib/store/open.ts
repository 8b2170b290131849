/** Which store `--store` means. */

import { realpath } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CarportError } from '../errors.js';
import { isThere } from '../filesystem/exists.js';
import type { PathGraph } from '../nix/closure.js';
import { storeDirOf } from '../nix/store-path.js';
import type { NixAnswer } from './nix/ahead.js';
import { glanceAtPaths, openNixStore } from './nix/store.js';
import { defaultStoreRoot } from './own/layout.js';
import { type OwnStore, openOwnStore } from './own/own-store.js';
import type { Store } from './store.js';
import { uniteStores } from './union-store.js';

/** The name that stands for the system's Nix where a store's root is asked for. */
export const NIX = 'nix';

/**
 * The store to read from: the system's Nix (`nix`), carport's own at a root, or, when none is named, what the system's
 * Nix has and beside it the own store at its default root. `closureOf` and `answers` as in `openNixStore`.
 */
export async function openStoreForReading(
  selection: string | undefined,
  env: NodeJS.ProcessEnv,
  closureOf: readonly string[] = [],
  answers: readonly NixAnswer[] = [],
): Promise<Store> {
  if (selection !== undefined && selection !== NIX) return openOwnStore(selection);
  if (selection === NIX) return requireNixStore(env, closureOf, answers);
  const own = openOwnStore(defaultStoreRoot(env));
  // A Nix that does not work matters only for what the own store does not have.
  const nix = await openNixStore(env, closureOf, answers).catch((error) => failingStore(own, error));
  if (nix) return nix.storeDir === own.storeDir ? uniteStores([nix, own]) : nix;
  return (await isThere(NIX_STATE)) ? { ...own, description: `${own.description} (${NO_NIX})` } : own;
}

/**
 * What a store to read from has of paths of one store dir, if it has all of them; `undefined` also where it takes longer to find
 * that out. `selection` as in `openStoreForReading`.
 */
export async function glanceAt(
  selection: string | undefined,
  env: NodeJS.ProcessEnv,
  paths: readonly string[],
  answers: readonly NixAnswer[] = [],
): Promise<PathGraph | undefined> {
  if (selection === undefined || selection === NIX) return glanceAtPaths(env, paths, answers);
  const store = openOwnStore(selection);
  const infos = await store.queryInfos(paths);
  return paths.every((path) => storeDirOf(path) === store.storeDir && infos.has(path)) ? infos : undefined;
}

/** Where Nix's database is; it tells that there is a Nix, whether its program is found or not. */
const NIX_STATE = '/nix/var/nix';

const NO_NIX = '`nix`, which knows what is valid in `/nix/store`, is not on PATH';

/**
 * What counts as known beside an own store: at its default root also what the system's Nix has, whether that root was
 * named or not.
 */
export async function openKnown(store: OwnStore, env: NodeJS.ProcessEnv): Promise<Store> {
  const [root, usual] = await Promise.all([store.layout.root, defaultStoreRoot(env)].map(realPathOrItself));
  return root === usual ? openStoreForReading(undefined, env) : store;
}

function realPathOrItself(path: string): Promise<string> {
  return realpath(path).catch(() => resolve(path));
}

/** The system's Nix; throws when it is not there. */
export async function requireNixStore(
  env: NodeJS.ProcessEnv,
  closureOf: readonly string[] = [],
  answers: readonly NixAnswer[] = [],
): Promise<Store> {
  const nix = await openNixStore(env, closureOf, answers);
  if (nix) return nix;
  throw new CarportError('E_NOT_FOUND', '`--store nix`: the program `nix` is not on PATH', {
    hint: "leave `--store` out to use carport's own store",
  });
}

/** carport's own store among what `openStoreForReading` opens, if it is. */
export function openOwnForReading(selection: string | undefined, env: NodeJS.ProcessEnv): OwnStore | undefined {
  return selection === NIX ? undefined : openOwnStore(selection ?? defaultStoreRoot(env));
}

/** carport's own store at a root, or at its default root. */
export function openStoreForWriting(selection: string | undefined, env: NodeJS.ProcessEnv): OwnStore {
  if (selection === NIX) {
    throw new CarportError('E_USAGE', "`--store nix`: this command is for carport's own store", {
      hint: 'leave `--store` out, or name a root: `--store ROOT`',
    });
  }
  return openOwnStore(selection ?? defaultStoreRoot(env));
}

/** Stands for a store that cannot be asked. */
function failingStore({ storeDir }: OwnStore, error: unknown): Store {
  const fail = () => Promise.reject(error);
  return {
    ...{ storeDir, realStoreDirs: [], description: "the system's Nix store" },
    ...{ queryInfos: fail, queryClosure: fail, queryHashParts: fail },
    realPath: ({ path }) => path,
  };
}
