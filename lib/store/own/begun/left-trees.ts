/**
 * Trees that were being unpacked when a run ended, so that a later one takes from them what is whole. Nothing is known of what is in them:
 * whoever makes a path of one checks it as any other.
 */

import { lstat, readdir, rename, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { inTurns } from '../../../concurrency.js';
import { namesIn } from '../../../filesystem/exists.js';
import {
  createTemporaryNames,
  isForEverybody,
  isOwn,
  makerOf,
  removeTree,
  resumableEnding,
  resumableEndingOf,
} from '../../../filesystem/temporary.js';
import { childPath } from '../../../filesystem/walk.js';
import { renderHash } from '../../../nix/hash.js';
import type { PathInfo } from '../../../nix/path-info.js';
import type { StoreLayout } from '../layout.js';
import { isLeft, isOld, MOST_BYTES, oldest } from './left.js';

/** What a tree becomes, by which it is known: two paths may have the same NAR, and each its own tree. */
export type TreeContent = Pick<PathInfo, 'path' | 'narHash' | 'narSize'>;

/** The tree of one path, which is being made. */
export interface KeptTree {
  /** Where it is made: a name of this process, by which a later run finds it. */
  readonly temporary: string;
  /** What was taken over for it, and is there until this is let go of. */
  readonly begun: string | undefined;
  /** Lets go of it, and of what was taken over for it: both are there for the next. */
  leave(): Promise<void>;
  /** What was left is wrong, or of no more use: removes what was taken over, and all else that was left of the path. The tree is the caller's. */
  remove(): Promise<void>;
}

/** Trees of a store that were left; of a directory where everybody may write none are. None of this fails: without one all is fetched. */
export interface LeftTrees {
  /** Whether there are any. */
  hasAny(): Promise<boolean>;
  /** Where the most is that was left of a path; nothing is changed. */
  find(content: TreeContent): Promise<string | undefined>;
  /** Takes that over, and removes what else there is of the path. Where the disk has no room for the rest that goes, too. */
  take(content: TreeContent): Promise<string | undefined>;
  /** Whether this process has left one, or another since it was told to look again. */
  hasLeft(content: TreeContent): Promise<boolean>;
  /** Another process has ended that has perhaps left some. */
  lookAgain(): void;
  /** A name for the tree of a path that is made now; `undefined` where none is left. */
  keep(content: TreeContent): Promise<KeptTree | undefined>;
  /** The path is there: removes all that was left of it. */
  remove(content: TreeContent): Promise<void>;
  /** For a disk that is full: removes what was left, and what was taken over for paths that are not made yet. Whether there was any. */
  giveUp(): Promise<boolean>;
  /** Lets go of what was taken over. Where a tree was taken or left, it removes the oldest where all are much. */
  end(): Promise<void>;
}

/** Trees of this process that nobody uses now. */
const free = new Set<string>();

/** What was left in a store; of that `most` bytes stay, or one tree. */
export function openLeftTrees({ realStoreDir }: Pick<StoreLayout, 'realStoreDir'>, most = MOST_BYTES): LeftTrees {
  const { left, listAnew, lookAgain, hasLeft, remove, nameFor } = openDirectory(realStoreDir);
  const { taken, making, letGo } = createUses();
  let isChanged = false;
  const removeOf = async (content: TreeContent): Promise<void> => {
    const ending = endingOf(content);
    letGo(ending);
    await remove(await left(ending));
  };
  return {
    hasAny: async () => (await left()).length > 0,
    async find(content) {
      return (await largestFirst(await left(endingOf(content))))[0]?.path;
    },
    async take(content) {
      const ending = endingOf(content);
      const [largest, ...others] = await largestFirst(await left(ending));
      await remove(others);
      if (largest === undefined) return undefined;
      if (!(await hasRoom(realStoreDir, content, largest))) {
        await remove([largest]);
        return undefined;
      }
      const tree = await nameFor(ending);
      if (!(await takeOver(largest.path, tree))) return undefined;
      taken.set(ending, tree);
      isChanged = true;
      return tree;
    },
    hasLeft: (content) => hasLeft(endingOf(content)),
    lookAgain,
    async keep(content) {
      if (await isForEverybody(realStoreDir)) return undefined;
      const ending = endingOf(content);
      const temporary = await nameFor(ending);
      making.add(ending);
      const leave = async (): Promise<void> => {
        free.add(temporary);
        isChanged = true;
        letGo(ending);
      };
      return { temporary, begun: taken.get(ending), leave, remove: () => removeOf(content) };
    },
    remove: removeOf,
    async giveUp() {
      // Threads read those of paths that are being made.
      for (const ending of taken.keys()) if (!making.has(ending)) letGo(ending);
      listAnew();
      const trees = await left();
      await remove(trees);
      return trees.length > 0;
    },
    async end() {
      for (const ending of taken.keys()) letGo(ending);
      listAnew();
      if (isChanged) await remove(await tooMany(await left(), most));
      isChanged = false;
    },
  };
}

/** What is left in a directory, whose names are read once until it is to be listed anew: others matter when a tree is taken only. */
function openDirectory(directory: string) {
  let made: Promise<() => string> | undefined;
  const names = () => (made ??= createTemporaryNames(directory));
  let listed: Promise<readonly string[]> | undefined;
  let looksAgain = false;
  const mine = () => [...free].filter((tree) => dirname(tree) === directory).map((tree) => basename(tree));
  const left = async (ending?: string): Promise<readonly LeftTree[]> => {
    listed ??= treesIn(directory);
    return leftOf(directory, new Set([...(await listed), ...mine()]), ending);
  };
  const listAnew = (): void => {
    listed = undefined;
  };
  return {
    left,
    listAnew,
    lookAgain(): void {
      looksAgain = true;
      listAnew();
    },
    async hasLeft(ending: string): Promise<boolean> {
      return mine().some((name) => name.endsWith(ending)) || (looksAgain && (await left(ending)).length > 0);
    },
    nameFor: async (ending: string): Promise<string> => (await names())() + ending,
    async remove(trees: readonly LeftTree[]): Promise<void> {
      if (trees.length > 0) await removeAll(trees, await names());
    },
  };
}

/** What was taken over, by what it becomes, and of which of that the path is being made. */
function createUses() {
  const taken = new Map<string, string>();
  const making = new Set<string>();
  return {
    taken,
    making,
    letGo(ending: string): void {
      const tree = taken.get(ending);
      if (tree !== undefined) free.add(tree);
      taken.delete(ending);
      making.delete(ending);
    },
  };
}

/** Removes what runs that are gone have left, where nobody has gone on with it for a day, or the path is `there`; with `all` any of it. */
export async function removeLeftTrees(
  { realStoreDir }: Pick<StoreLayout, 'realStoreDir'>,
  { all, there, now }: { readonly all: boolean; readonly there: Iterable<TreeContent>; readonly now?: number },
): Promise<void> {
  const trees = await leftOf(realStoreDir, await treesIn(realStoreDir));
  if (trees.length === 0) return;
  const names = await createTemporaryNames(realStoreDir);
  const endings = new Set<string>();
  await inTurns(there, (content) => endings.add(endingOf(content)));
  const isDone = ({ path }: LeftTree) => endings.has(resumableEndingOf(basename(path))!);
  await removeAll(
    trees.filter((tree) => all || isOld(tree.modified, now) || isDone(tree)),
    names,
  );
}

/** How the names of trees end that become a path. */
export function endingOf({ path, narHash }: Pick<TreeContent, 'path' | 'narHash'>): string {
  return resumableEnding(`${path} ${renderHash(narHash)}`);
}

/** Names of trees that are kept, whoever makes them. */
async function treesIn(directory: string): Promise<readonly string[]> {
  const names = await namesIn(directory).catch(() => []);
  const trees = names.filter((name) => resumableEndingOf(name) !== undefined);
  return trees.length === 0 || (await isForEverybody(directory)) ? [] : trees;
}

interface LeftTree {
  readonly path: string;
  readonly modified: number;
}

/** Those of processes that are gone, and those of this one that nobody uses; of one that cannot be asked a day after it has written last. */
async function leftOf(directory: string, names: Iterable<string>, ending?: string): Promise<readonly LeftTree[]> {
  const left: LeftTree[] = [];
  for (const name of names) {
    if (ending !== undefined && !name.endsWith(ending)) continue;
    const path = join(directory, name);
    const maker = free.has(path) ? 'gone' : await makerOf(name);
    const stats = maker === 'lives' ? undefined : await lstat(path).catch(() => undefined);
    if (!stats || !(await isOwn(path)) || !isLeft(maker, stats.ctimeMs)) continue;
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
  return (await measured(trees)).sort((a, b) => b.size - a.size);
}

/** Of each path all but the largest, which has what the others have; and of those of all paths the `oldest`, as each path was left last. */
async function tooMany(trees: readonly LeftTree[], most: number): Promise<readonly LeftTree[]> {
  if (trees.length < 2) return [];
  const byPath = new Map<string, Measured[]>();
  for (const tree of await measured(trees)) {
    const ending = resumableEndingOf(basename(tree.path))!;
    byPath.set(ending, [...(byPath.get(ending) ?? []), tree]);
  }
  const paths = [...byPath.values()].map((all) => {
    const [largest, ...others] = all.sort((a, b) => b.size - a.size);
    return { ...largest!, others, modified: Math.max(...all.map(({ modified }) => modified)) };
  });
  return [...paths.flatMap(({ others }) => others), ...oldest(paths, most)];
}

interface Measured extends LeftTree {
  readonly size: number;
}

async function measured(trees: readonly LeftTree[]): Promise<Measured[]> {
  const all: Measured[] = [];
  for (const tree of trees) all.push({ ...tree, size: await sizeOf(Buffer.from(tree.path)) });
  return all;
}

/** Bytes on disk; what cannot be read has none. One file after another: it may have any number, and others have their turn. */
async function sizeOf(path: Buffer): Promise<number> {
  const stats = await lstat(path).catch(() => undefined);
  if (!stats?.isDirectory()) return (stats?.blocks ?? 0) * 512;
  let size = 0;
  for (const name of await readdir(path, { encoding: 'buffer' }).catch(() => [])) {
    size += await sizeOf(childPath(path, name));
  }
  return size;
}

/** Whether the disk has room for another tree, which has the files that one has ended: a file alone is copied. A disk that tells nothing has. */
async function hasRoom(directory: string, { narSize }: TreeContent, { path }: LeftTree): Promise<boolean> {
  const disk = await statfs(directory).catch(() => undefined);
  if (!disk?.blocks) return true;
  const room = disk.bavail * disk.bsize;
  if (room >= narSize) return true;
  const isDirectory = (await lstat(path).catch(() => undefined))?.isDirectory();
  return isDirectory === true && room + (await sizeOf(Buffer.from(path))) >= narSize;
}
