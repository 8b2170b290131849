import { readdir } from 'node:fs/promises';
import pLimit from 'p-limit';
import { CarportError, isErrno } from '../errors.js';
import { makeDirectory } from '../filesystem/make-directory.js';
import { namesIn } from '../filesystem/presence.js';
import { moveFile, readSmallFile, writeFileAtomic } from '../filesystem/small-files.js';
import { createTemporaryNames, removeLeftovers, removeTree } from '../filesystem/temporary.js';
import type { PathGraph } from '../nix/closure.js';
import { hashesEqual, renderHash } from '../nix/hash.js';
import { type NarInfo, type PathInfo, parseNarInfo, renderNarInfo } from '../nix/narinfo.js';
import { baseNameOf, hashPartOf, isStoreBaseName, parseStorePath } from '../nix/store-path.js';
import type { NarDigest } from '../workers/jobs.js';
import { infoFile, realPathIn, type StoreLayout, storeLayout } from './layout.js';
import type { Store } from './store.js';
import { walkReferences } from './walk-references.js';

/** Metadata files that are read at a time. */
const READS_AT_ONCE = 128;

/** How often a place is cleared for a tree: other processes may put damaged trees or whole ones there meanwhile. */
const PLACE_ATTEMPTS = 20;

/** Bytes of a metadata file, at most. */
const MAX_INFO_SIZE = 4 * 1024 * 1024;

/** carport's own store: `<root>/nix/store`, and metadata in narinfos below `<root>/nix/var/carport`. */
export interface OwnStore extends Store {
  readonly layout: StoreLayout;
  /** Every path that is registered, whether its files are still there or not. */
  queryAll(): Promise<PathGraph>;
}

export function openOwnStore(root: string): OwnStore {
  const layout = storeLayout(root);
  const limit = pLimit(READS_AT_ONCE);
  const queryInfos = async (paths: readonly string[]): Promise<ReadonlyMap<string, PathInfo>> => {
    const infos = await Promise.all(paths.map((path) => limit(() => readInfo(layout, hashPartOf(path)))));
    // Same hash part, another name: that path is not here.
    return new Map(infos.filter((info, index) => info?.path === paths[index]).map((info) => [info!.path, info!]));
  };
  return {
    layout,
    storeDir: layout.storeDir,
    realStoreDirs: [layout.realStoreDir],
    description: `the store at \`${layout.root}\``,
    queryInfos,
    queryClosure: (paths) => walkReferences(paths, queryInfos),
    async queryAll() {
      const files = (await namesIn(layout.infoDir)).filter((name) => name.endsWith('.narinfo'));
      const infos = await Promise.all(files.map((name) => limit(() => readInfo(layout, name.replace('.narinfo', '')))));
      return new Map(infos.filter((info) => info !== undefined).map((info) => [info.path, info]));
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
  await removeLeftovers(layout.realStoreDir);
  await removeLeftovers(layout.infoDir);
  const temporaryName = await createTemporaryNames(layout.realStoreDir);
  const names = new Set(await readdir(layout.realStoreDir));
  const temporaryInfoName = await createTemporaryNames(layout.infoDir);

  const isWhole = async (info: PathInfo): Promise<boolean> => {
    try {
      const { narHash, narSize } = await hash(realPathIn(layout, info.path));
      return narSize === info.narSize && hashesEqual(narHash, info.narHash);
    } catch {
      return false;
    }
  };
  const register = (info: PathInfo): Promise<void> =>
    writeFileAtomic(infoFile(layout, hashPartOf(info.path)), temporaryInfoName(), renderNarInfo(toNarInfo(info)));
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
  /** Moves a tree to its place, unless a whole one is there. */
  const moveIntoPlace = async (temporary: string, info: PathInfo): Promise<void> => {
    const path = realPathIn(layout, info.path);
    for (let attempt = 1; ; attempt++) {
      try {
        return await moveFile(temporary, path);
      } catch (error) {
        const occupied = isErrno(error, 'EEXIST', 'ENOTEMPTY', 'EISDIR', 'ENOTDIR');
        if (!occupied || attempt === PLACE_ATTEMPTS) throw error;
      }
      if (await isWhole(info)) return removeTree(temporary);
      await moveAside(path);
    }
  };

  return {
    temporaryName,
    async place(temporary, info) {
      const registered = await readInfo(layout, hashPartOf(info.path)).catch(() => undefined);
      if (registered !== undefined && registered.path !== info.path) throw sameHashPart(registered.path, info.path);
      // Another process was faster; with other signed content even, what is registered stays.
      if (registered?.path === info.path && (await isWhole(registered))) return removeTree(temporary);
      await moveIntoPlace(temporary, info);
      await register(info);
    },
    hasLeft: (path) => names.has(baseNameOf(path)),
    isWhole,
    register,
  };
}

/** Metadata are by hash part: whoever makes up a path must not take another's place. */
function sameHashPart(registered: string, path: string): CarportError {
  return new CarportError('E_INTEGRITY', `\`${path}\` has the hash part of \`${registered}\`, which is here`, {
    hint: 'no two store paths share one: where it is from is damaged or was tampered with',
  });
}

async function readInfo(layout: StoreLayout, hashPart: string): Promise<PathInfo | undefined> {
  const file = infoFile(layout, hashPart);
  const text = (await readSmallFile(file, MAX_INFO_SIZE))?.toString('latin1');
  if (text === undefined) return undefined;
  try {
    const info = parseNarInfo(text);
    if (hashPartOf(info.path) !== hashPart) throw new Error(`it is about \`${info.path}\``);
    return { ...info, path: parseStorePath(info.path, layout.storeDir) };
  } catch (cause) {
    throw new CarportError('E_INTEGRITY', `the metadata file \`${file}\` is damaged`, {
      cause,
      hint: 'remove it, and pull or add its path again',
    });
  }
}

/** A store keeps trees, not NARs: the URL is what the plain NAR would have. */
function toNarInfo(info: PathInfo): NarInfo {
  const { path, narHash, narSize, references, deriver, signatures, ca } = info;
  return {
    ...{ path, narHash, narSize, references, signatures },
    ...(deriver && { deriver }),
    ...(ca && { ca }),
    url: `nar/${renderHash(narHash).replace('sha256:', '')}.nar`,
    compression: 'none',
    unknownFields: [],
  };
}
