/** Carport's own store, and its writer. */

import { readdir, rm } from 'node:fs/promises';
import { createLimit } from '../../concurrency.js';
import { CarportError, isErrno } from '../../errors.js';
import { isThere, namesIn } from '../../filesystem/exists.js';
import { makeDirectory } from '../../filesystem/make-directory.js';
import { moveFile, writeFileAtomic, writeThenMove } from '../../filesystem/small-files.js';
import { createTemporaryNames, removeLeftovers, removeTree } from '../../filesystem/temporary.js';
import type { PathGraph } from '../../nix/closure.js';
import { hashesEqual } from '../../nix/hash.js';
import type { PathInfo } from '../../nix/path-info.js';
import { baseNameOf, hashPartOf, isStoreBaseName } from '../../nix/store-path.js';
import type { NarDigest } from '../../workers/jobs.js';
import type { Store } from '../store.js';
import { walkReferences } from '../walk-references.js';
import { infoFile, realPathIn, type StoreLayout, storeLayout } from './layout.js';
import { isDamage, type Registration, type Registrations, readMetadata, renderMetadata } from './metadata.js';
import { claimedHashParts, createRecordNames } from './ownership-records.js';

/** Metadata files that are read at a time. */
const READS_AT_ONCE = 128;

/** How often a place is cleared for a tree: other processes may put damaged trees or whole ones there meanwhile. */
const PLACE_ATTEMPTS = 20;

/** carport's own store: `<root>/nix/store`, and metadata in narinfos below `<root>/nix/var/carport`. */
export interface OwnStore extends Store {
  readonly layout: StoreLayout;
  /** Every path that is registered, whether its files are still there or not. */
  queryAll(): Promise<Registrations>;
  /** The same, and metadata that cannot be read: `queryAll` throws for the first of them. */
  queryReadable(): Promise<{ readonly registered: Registrations; readonly damaged: readonly DamagedMetadata[] }>;
}

/** A metadata file that says nothing. */
export interface DamagedMetadata {
  readonly file: string;
  /** What its name says, if anything. */
  readonly hashPart: string;
  readonly error: CarportError;
}

const METADATA_ENDING = '.narinfo';

export function openOwnStore(root: string): OwnStore {
  const layout = storeLayout(root);
  const limit = createLimit(READS_AT_ONCE);
  const read = (hashPart: string) => limit(() => readMetadata(layout, hashPart));
  const queryInfos = async (paths: readonly string[]): Promise<Registrations> => {
    const infos = await Promise.all(paths.map((path) => read(hashPartOf(path))));
    // Same hash part, another name: that path is not here.
    return new Map(infos.filter((info, index) => info?.path === paths[index]).map((info) => [info!.path, info!]));
  };
  const queryReadable: OwnStore['queryReadable'] = async () => {
    const names = (await namesIn(layout.infoDir)).filter((name) => name.endsWith(METADATA_ENDING));
    const damaged: DamagedMetadata[] = [];
    const infos = names.map(async (name) => {
      const hashPart = name.slice(0, -METADATA_ENDING.length);
      return read(hashPart).catch((error) => {
        if (!isDamage(error)) throw error;
        damaged.push({ file: infoFile(layout, hashPart), hashPart, error });
      });
    });
    const found = (await Promise.all(infos)).filter((info) => info !== undefined);
    return { registered: new Map(found.map((info) => [info.path, info])), damaged };
  };
  return {
    layout,
    storeDir: layout.storeDir,
    realStoreDirs: [layout.realStoreDir],
    description: `the store at \`${layout.root}\``,
    queryInfos,
    queryClosure: (paths) => walkReferences(paths, queryInfos),
    queryReadable,
    async queryAll() {
      const { registered, damaged } = await queryReadable();
      if (damaged[0]) throw damaged[0].error;
      return registered;
    },
    async queryHashParts() {
      const [names, infos] = await Promise.all([namesIn(layout.realStoreDir), namesIn(layout.infoDir)]);
      const valid = new Set(infos);
      const paths = names.filter((name) => isStoreBaseName(name) && valid.has(`${hashPartOf(name)}.narinfo`));
      return new Map(paths.map((name) => [hashPartOf(name), `${layout.storeDir}/${name}`]));
    },
    realPath: ({ path }) => realPathIn(layout, path),
  };
}

/** The same store, in which a path whose metadata cannot be read is not there: it can be pulled again. */
export function withoutDamagedMetadata(store: OwnStore): OwnStore {
  const queryInfos = (paths: readonly string[]) => queryUndamaged(store, paths);
  return { ...store, queryInfos, queryClosure: (paths) => walkReferences(paths, queryInfos) };
}

/** What is known of paths, without those whose metadata cannot be read. */
export async function queryUndamaged(store: Pick<Store, 'queryInfos'>, paths: readonly string[]): Promise<PathGraph> {
  try {
    return await store.queryInfos(paths);
  } catch (error) {
    if (!isDamage(error)) throw error;
    if (paths.length < 2) return new Map();
  }
  const each = await Promise.all(paths.map((path) => queryUndamaged(store, [path])));
  return new Map(each.flatMap((infos) => [...infos]));
}

/** Puts new paths into an own store. */
export interface StoreWriter {
  /** A name inside the store dir for a tree that is being made; it must be renamed or removed by the caller. */
  temporaryName(): string;
  /**
   * Gives a finished, checked tree its store path and registers it. Its references must be registered already. Safe
   * beside other processes that add the same path: one tree wins, and it is whole.
   */
  place(temporary: string, info: PathInfo): Promise<void>;
  /** Whether something was at the path's place when the writer was made: a killed run may have left it. */
  hasLeft(path: string): boolean;
  /** Whether the tree that is at a store path is what `info` says. */
  isWhole(info: PathInfo): Promise<boolean>;
  /** Registers a path whose tree is at its place and whole: a killed run left it so. */
  register(info: PathInfo): Promise<void>;
}

/** `hash` gives the digest of a tree; it runs in a worker. */
export async function createStoreWriter(
  { layout }: OwnStore,
  hash: (path: string) => Promise<NarDigest>,
): Promise<StoreWriter> {
  await makeDirectory(layout.realStoreDir);
  await makeDirectory(layout.infoDir);
  await makeDirectory(layout.claimsDir);
  await removeLeftovers(layout.realStoreDir);
  await removeLeftovers(layout.infoDir);
  const temporaryName = await createTemporaryNames(layout.realStoreDir);
  const names = new Set(await readdir(layout.realStoreDir));
  // After the names: the claim of a tree is there before it, and is no more when it is registered.
  const claimed = await claimedHashParts(layout);
  const temporaryInfoName = await createTemporaryNames(layout.infoDir);
  const nextRecord = await createRecordNames(layout);

  const isWhole = async (info: PathInfo): Promise<boolean> => {
    try {
      const { narHash, narSize } = await hash(realPathIn(layout, info.path));
      return narSize === info.narSize && hashesEqual(narHash, info.narHash);
    } catch {
      return false;
    }
  };
  /** What is registered under the path's hash part, if it can be read. Throws when that is another path. */
  const registrationOf = async ({ path }: PathInfo): Promise<Registration | undefined> => {
    const registered = await readMetadata(layout, hashPartOf(path)).catch(() => undefined);
    if (registered !== undefined && registered.path !== path) throw sameHashPart(registered.path, path);
    return registered;
  };
  /** Registers a tree that was at its place already. */
  const registerFound = async (info: PathInfo, records: readonly string[]): Promise<void> => {
    const registered = await registrationOf(info);
    // Metadata that cannot be read are carport's, too.
    const isClaimed = async () => records.length > 0 || (await isThere(infoFile(layout, hashPartOf(info.path))));
    const found = registered === undefined ? !(await isClaimed()) : registered.found === true;
    const metadata = renderMetadata({ ...info, ...(found && { found }) });
    await writeFileAtomic(infoFile(layout, hashPartOf(info.path)), temporaryInfoName(), metadata);
    for (const claim of records) await rm(claim, { force: true });
  };
  const moveAside = async (path: string): Promise<void> => {
    const aside = temporaryName();
    try {
      await moveFile(path, aside);
    } catch (error) {
      // Another process was faster.
      if (!isErrno(error, 'ENOENT')) throw error;
    }
    await removeTree(aside);
  };
  /** Moves a tree to its place, unless a whole one is there. Tells whether it did. */
  const moveIntoPlace = async (temporary: string, info: PathInfo): Promise<boolean> => {
    const path = realPathIn(layout, info.path);
    for (let attempt = 1; ; attempt++) {
      try {
        await moveFile(temporary, path);
        return true;
      } catch (error) {
        if (!isOccupied(error) || attempt === PLACE_ATTEMPTS) throw error;
      }
      if (await isWhole(info)) {
        await removeTree(temporary);
        return false;
      }
      await moveAside(path);
    }
  };

  const registerMoved = async (info: PathInfo, claim: string, error: unknown): Promise<void> => {
    // Another process has found the tree, registered it, and removed the claim.
    if (isErrno(error, 'ENOENT') && (await isWhole(info))) return registerFound(info, [claim]);
    throw error;
  };

  return {
    temporaryName,
    async place(temporary, info) {
      const registered = await registrationOf(info);
      // Another process was faster; with other signed content even, what is registered stays.
      if (registered !== undefined && (await isWhole(registered))) return removeTree(temporary);
      const hashPart = hashPartOf(info.path);
      // A file would take the place of another without a word.
      if (registered === undefined && names.has(baseNameOf(info.path)) && (await isWhole(info))) {
        await removeTree(temporary);
        return registerFound(info, claimed.get(hashPart) ?? []);
      }
      const claim = nextRecord(hashPart);
      const metadata = infoFile(layout, hashPart);
      try {
        const moves = [[temporary, realPathIn(layout, info.path)] as const, [claim, metadata] as const];
        return await writeThenMove(claim, renderMetadata(info), moves);
      } catch (error) {
        // When the tree has its name already, the claim says whose it is.
        if (!(await isThere(temporary))) return registerMoved(info, claim, error);
        if (!isOccupied(error)) {
          await rm(claim, { force: true });
          throw error;
        }
      }
      const moved = await moveIntoPlace(temporary, info).catch(async (error) => {
        await rm(claim, { force: true });
        throw error;
      });
      if (moved) {
        return moveFile(claim, metadata).catch((error) => registerMoved(info, claim, error));
      }
      await rm(claim, { force: true });
      // In this order: a claim of another process becomes its metadata.
      await registerFound(info, (await claimedHashParts(layout)).get(hashPart) ?? []);
    },
    hasLeft: (path) => names.has(baseNameOf(path)),
    isWhole,
    register: (info) => registerFound(info, claimed.get(hashPartOf(info.path)) ?? []),
  };
}

/** Something is where a tree is to be. */
function isOccupied(error: unknown): boolean {
  return isErrno(error, 'EEXIST', 'ENOTEMPTY', 'EISDIR', 'ENOTDIR');
}

/** Metadata are by hash part: whoever makes up a path must not take another's place. */
function sameHashPart(registered: string, path: string): CarportError {
  return new CarportError('E_INTEGRITY', `\`${path}\` has the hash part of \`${registered}\`, which is here`, {
    hint:
      'no two store paths share one: either where it is from is damaged or was tampered with, or what is here was made up; ' +
      '`carport store info` shows who signed that, and `carport store gc` removes it when no out-link or pin needs it',
  });
}
