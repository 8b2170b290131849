/**
 * Trees that were being unpacked when a run ended, so that a later one takes from them what is whole. Nothing is known of what is in them:
 * whoever makes a path of one checks it as any other.
 */

import { lstat, readdir, rename, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { inTurns } from '../../concurrency.js';
import { namesIn } from '../../filesystem/exists.js';
import {
  createTemporaryNames,
  isOwn,
  makerOf,
  removeTree,
  resumableEnding,
  resumableEndingOf,
} from '../../filesystem/temporary.js';
import { renderHash } from '../../nix/hash.js';
import type { PathInfo } from '../../nix/path-info.js';
import type { StoreLayout } from './layout.js';

/** Bytes that trees of runs that are gone take together; the oldest go. */
const MOST_BYTES = 8 * 1024 * 1024 * 1024;

const DAY_MS = 24 * 60 * 60 * 1000;

/** What a tree becomes, by which it is known. */
type Content = Pick<PathInfo, 'narHash' | 'narSize'>;

/** The tree of one path, which is being made. */
export interface KeptTree {
  /** Where it is made: a name of this process, by which a later run finds it. */
  readonly temporary: string;
  /** Lets go of it, and of what was taken over for it: both are there for the next. */
  leave(): Promise<void>;
  /** The path is there, or what was left is wrong: removes what was taken over, and all else that was left of the path. The tree is the caller's. */
  remove(): Promise<void>;
}

/** Trees of a store that were left. None of this fails: without one all is fetched. */
export interface LeftTrees {
  /** Where the most is that was left of a path; nothing is changed. */
  find(content: Content): Promise<string | undefined>;
  /** Takes that over, and removes what else there is of the path. Where the disk has no room for another tree beside it that goes, too. */
  take(content: Content): Promise<string | undefined>;
  /** Whether this process has left one. */
  hasLeft(content: Content): boolean;
  /** A name for the tree of a path that is made now. */
  keep(content: Content): Promise<KeptTree>;
  /** Removes all that was left, also what was taken over, for a disk that is full. Whether there was any. */
  giveUp(): Promise<boolean>;
  /** Lets go of what was taken over, and removes the oldest of what is left where that is much. */
  end(): Promise<void>;
}

/** Trees of this process that nobody uses now. */
const free = new Set<string>();

/** What was left in a store; of that `most` bytes stay. */
export function openLeftTrees({ realStoreDir }: Pick<StoreLayout, 'realStoreDir'>, most = MOST_BYTES): LeftTrees {
  let made: Promise<() => string> | undefined;
  const names = () => (made ??= createTemporaryNames(realStoreDir));
  const taken = new Map<string, string>();
  const left = (ending?: string) => leftIn(realStoreDir, ending);
  const remove = async (trees: readonly LeftTree[]) => removeAll(trees, await names());
  const letGo = (ending: string): void => {
    const tree = taken.get(ending);
    if (tree !== undefined) free.add(tree);
    taken.delete(ending);
  };
  const letGoOfAll = () => [...taken.keys()].forEach(letGo);
  return {
    async find(content) {
      return (await largestFirst(await left(endingOf(content))))[0]?.path;
    },
    async take(content) {
      const ending = endingOf(content);
      const [largest, ...others] = await largestFirst(await left(ending));
      await remove(others);
      if (largest === undefined) return undefined;
      if (!(await hasRoom(realStoreDir, content))) {
        await remove([largest]);
        return undefined;
      }
      const tree = (await names())() + ending;
      if (!(await takeOver(largest.path, tree))) return undefined;
      taken.set(ending, tree);
      return tree;
    },
    hasLeft: (content) => [...free].some((tree) => dirname(tree) === realStoreDir && tree.endsWith(endingOf(content))),
    async keep(content) {
      const ending = endingOf(content);
      const temporary = (await names())() + ending;
      return {
        temporary,
        async leave() {
          free.add(temporary);
          letGo(ending);
        },
        async remove() {
          letGo(ending);
          await remove(await left(ending));
        },
      };
    },
    async giveUp() {
      letGoOfAll();
      const trees = await left();
      await remove(trees);
      return trees.length > 0;
    },
    async end() {
      letGoOfAll();
      await remove(await oldest(await left(), most));
    },
  };
}

/** Removes what runs that are gone have left, where nobody has gone on with it for a day, or the path is `there`; with `all` any of it. */
export async function removeLeftTrees(
  { realStoreDir }: Pick<StoreLayout, 'realStoreDir'>,
  { all, there, now = Date.now() }: { readonly all: boolean; readonly there: Iterable<Content>; readonly now?: number },
): Promise<void> {
  const trees = await leftIn(realStoreDir);
  if (trees.length === 0) return;
  const names = await createTemporaryNames(realStoreDir);
  const endings = new Set<string>();
  await inTurns(there, (content) => endings.add(endingOf(content)));
  const isDone = ({ path }: LeftTree) => endings.has(resumableEndingOf(basename(path))!);
  await removeAll(
    trees.filter((tree) => all || now - tree.modified > DAY_MS || isDone(tree)),
    names,
  );
}

function endingOf({ narHash }: Pick<Content, 'narHash'>): string {
  return resumableEnding(renderHash(narHash));
}

interface LeftTree {
  readonly path: string;
  readonly modified: number;
}

/** Trees of processes that are gone, and those of this one that nobody uses; of one that cannot be asked a day after it has written last. */
async function leftIn(directory: string, ending?: string): Promise<readonly LeftTree[]> {
  const left: LeftTree[] = [];
  for (const name of await namesIn(directory).catch(() => [])) {
    const found = resumableEndingOf(name);
    if (found === undefined || (ending !== undefined && found !== ending)) continue;
    const path = join(directory, name);
    const maker = free.has(path) ? 'gone' : await makerOf(name);
    const stats = maker === 'lives' ? undefined : await lstat(path).catch(() => undefined);
    if (!stats || !(await isOwn(path)) || (maker === 'elsewhere' && Date.now() - stats.ctimeMs < DAY_MS)) continue;
    left.push({ path, modified: stats.ctimeMs });
  }
  return left;
}

/** Whether it has the new name now: of several processes that want it one can rename it. */
async function takeOver(path: string, tree: string): Promise<boolean> {
  free.delete(path);
  return rename(path, tree).then(
    () => true,
    () => false,
  );
}

/** Removes trees under names that nobody goes on with: no half of one is taken over. */
async function removeAll(trees: readonly LeftTree[], temporaryName: () => string): Promise<void> {
  for (const { path } of trees) {
    const doomed = temporaryName();
    if (await takeOver(path, doomed)) await removeTree(doomed).catch(() => undefined);
  }
}

async function largestFirst(trees: readonly LeftTree[]): Promise<readonly LeftTree[]> {
  if (trees.length < 2) return trees;
  const sizes = await Promise.all(trees.map(async (tree) => ({ tree, size: await sizeOf(tree.path) })));
  return sizes.sort((a, b) => b.size - a.size).map(({ tree }) => tree);
}

/** The oldest, behind so many bytes of newer ones. */
async function oldest(trees: readonly LeftTree[], most: number): Promise<readonly LeftTree[]> {
  let left = most;
  const old: LeftTree[] = [];
  for (const tree of [...trees].sort((a, b) => b.modified - a.modified)) {
    left -= await sizeOf(tree.path);
    if (left < 0) old.push(tree);
  }
  return old;
}

/** Bytes on disk; what cannot be read has none. */
async function sizeOf(path: string): Promise<number> {
  const stats = await lstat(path).catch(() => undefined);
  if (!stats?.isDirectory()) return (stats?.blocks ?? 0) * 512;
  const names = await readdir(path).catch(() => []);
  const sizes = await Promise.all(names.map((name) => sizeOf(join(path, name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Whether the disk has room for another tree. A disk that tells nothing has. */
async function hasRoom(directory: string, { narSize }: Content): Promise<boolean> {
  const disk = await statfs(directory).catch(() => undefined);
  return !disk?.blocks || disk.bavail * disk.bsize >= narSize;
}
