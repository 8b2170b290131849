/** Local paths to take chunks from: the pin's earlier ones, then those of the same name, then those of another version. */

import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { CHUNK_SIZES } from '../../lib/compression/chunks/chunker.js';
import { hashPartList } from '../../lib/compression/chunks/hash-parts.js';
import { inTurns } from '../../lib/concurrency.js';
import { CarportError } from '../../lib/errors.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { nameOf } from '../../lib/nix/store-path.js';
import type { Store } from '../../lib/store/store.js';
import type { LocalTree } from '../../lib/workers/jobs/delta/assembly.js';
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

/**
 * Bytes that are cut at most for each compressed byte that may not have to be fetched: a core cuts some hundred MB a second. As much as the
 * path has itself may always be: that is what is done with its own bytes in any case.
 */
const CUT_FOR_A_BYTE = 8;

/**
 * The names in a store are read again after so long, and as soon as its directory has changed: there are new paths to take from. A store that
 * changes all the time takes no more than this part of the time, or, where nothing is called like what is wanted, than the other one.
 */
const RENEW_MS = 10_000;
const RENEW_PART = 1 / 20;
const RENEW_PART_FOR_NEW_NAMES = 1 / 2;

/** A store that does not answer in that time is as if there were none: who holds its lock may wait for what is planned here. */
const PATIENCE_MS = 10_000;

/** Locks of Nix, which somebody holds, and what holds nothing that others do. */
const NOT_A_TREE = /\.(lock|drv|chroot|check)$/;

interface NamedStore {
  readonly store: Store;
  readonly names: NamedPaths;
  readonly paths: ReadonlySet<string>;
  /** When its directories had last changed, before they were read. */
  readonly changed: string;
}

/** A store whose names were read, `at` a time, in so many milliseconds. */
interface Opened {
  readonly at: number;
  took: number;
  readonly store: Promise<NamedStore | undefined>;
}

/** The stores of this machine, of which each is opened when those before it have not enough. `now` is in milliseconds. */
export function createLocalPaths(
  open: readonly OpenStore[],
  storeDir: string,
  now: () => number,
  patienceMs = PATIENCE_MS,
) {
  const opened = new Map<OpenStore, Opened>();
  const isCurrent = async ({ at, took, store }: Opened, wanted: readonly NarInfo[]): Promise<boolean> => {
    const age = now() - at;
    if (age > RENEW_MS) return false;
    const there = await store;
    if (there === undefined) return true;
    const hasNewNames = wanted.some(({ path }) => there.names.like(path).length === 0);
    const part = hasNewNames ? RENEW_PART_FOR_NEW_NAMES : RENEW_PART;
    return took > age * part || (await changeOf(there.store)) === there.changed;
  };
  const named = async (openStore: OpenStore, wanted: readonly NarInfo[]): Promise<NamedStore | undefined> => {
    const known = opened.get(openStore);
    if (known && (await isCurrent(known, wanted))) return known.store;
    // Others may have begun to read it meanwhile.
    if (opened.get(openStore) !== known) return opened.get(openStore)!.store;
    const store = inTime(nameStore(openStore, storeDir), patienceMs);
    const entry = { at: now(), took: 0, store };
    opened.set(openStore, entry);
    await store;
    entry.took = now() - entry.at;
    return store;
  };
  return {
    /** For each path those that may hold much of it, the best first. `preferred` before others of the same name. */
    async like(
      wanted: readonly NarInfo[],
      preferred: readonly string[],
    ): Promise<ReadonlyMap<string, readonly LocalPath[]>> {
      const before = await namePaths(preferred, MOST_ASKED);
      const found = new Map<string, readonly LocalPath[]>();
      for (const openStore of open) {
        const missing = wanted.filter(({ path }) => !found.has(path));
        const at = missing.length > 0 ? await named(openStore, missing) : undefined;
        const looked = at && (await inTime(look(at, missing, before), patienceMs));
        if (at && !looked) opened.set(openStore, { at: now(), took: 0, store: Promise.resolve(undefined) });
        for (const [path, locals] of looked ?? []) found.set(path, locals);
      }
      return found;
    },
    /** Whether a place on disk is one of a store that was looked at, and nothing is there. */
    async gone(): Promise<(realPath: string) => boolean> {
      const stores = (await Promise.all([...opened.values()].map(({ store }) => store))).filter(
        (at) => at !== undefined,
      );
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

/** `undefined` where it takes longer. */
async function inTime<T>(work: Promise<T>, milliseconds: number): Promise<T | undefined> {
  const ended = new AbortController();
  try {
    return await Promise.race([work, sleep(milliseconds, undefined, { signal: ended.signal })]);
  } finally {
    ended.abort();
  }
}

/** A store that cannot be asked is as if there were none: everything can be fetched. */
async function nameStore(openStore: OpenStore, storeDir: string): Promise<NamedStore | undefined> {
  try {
    const store = await openStore();
    if (store === undefined || store.storeDir !== storeDir) return undefined;
    const paths = new Set<string>();
    const changed = await changeOf(store);
    await inTurns((await store.queryHashParts()).values(), (path) => {
      if (!NOT_A_TREE.test(path)) paths.add(path);
    });
    return { store, names: await namePaths(paths, MOST_ASKED), paths, changed };
  } catch {
    return undefined;
  }
}

/** Differs where something has come to the directories of a store, or gone. */
async function changeOf({ realStoreDirs }: Store): Promise<string> {
  const stats = realStoreDirs.map((directory) => stat(directory, { bigint: true }).catch(() => undefined));
  return (await Promise.all(stats)).map((found) => String(found?.mtimeNs)).join(' ');
}

async function look(
  { store, names, paths }: NamedStore,
  wanted: readonly NarInfo[],
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
    const locals = worthCutting(best, info).map((local) => ({
      info: local,
      path: store.realPath(local),
      list: hashPartList(local),
    }));
    return locals.length > 0 ? [[info.path, locals] as const] : [];
  });
}

/**
 * A NAR of up to the smallest first chunk is one chunk, which begins as a NAR does, and chunks that are not the first of a NAR do not: then it has
 * nothing in common with one of another size.
 */
function isOfUse(local: PathInfo, wanted: PathInfo): boolean {
  const isOneChunk = Math.min(local.narSize, wanted.narSize) <= CHUNK_SIZES.first;
  return !isOneChunk || local.narSize === wanted.narSize;
}

/**
 * The first of them that take no longer than may be saved; whether they are remembered makes no difference, so that a pull that
 * goes on plans as before.
 */
function worthCutting(locals: readonly PathInfo[], { narSize, fileSize = 0 }: NarInfo): readonly PathInfo[] {
  let left = narSize + fileSize * CUT_FOR_A_BYTE;
  return locals.filter((local) => {
    const fits = local.narSize <= left;
    if (fits) left -= local.narSize;
    return fits;
  });
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
