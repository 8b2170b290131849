/** Trees that somebody was stopped at who made them: what is ended in them is right where the whole is, and what is made of one has it as well. */

import { linkSync, lstatSync, mkdirSync, readlinkSync, type Stats, unlinkSync } from 'node:fs';
import { uptime } from 'node:os';
import { endDirectory, isEnded, makeSymlink } from '../../../filesystem/unpack.js';
import type { Assembly } from './assembly.js';
import { partsOf, type TreeStep, unreadableTree } from './nar-ranges.js';

/** With how many bytes the NAR of a tree begins that whoever made it has ended; `E_IO` where it cannot be looked at. */
export function endedSize(root: string): number {
  const isKept = createIsKept();
  let size = 0;
  try {
    for (const part of partsOf(root)) {
      const { step } = part;
      if (step && step.type !== 'directory' && !isKept(step.stats)) break;
      size += part.size;
    }
  } catch (cause) {
    throw unreadableTree(root, cause);
  }
  return size;
}

/** Begins a tree with what is ended of the one that was begun, as far as the NAR is made of that; the rest is to be made in it. */
export function goOnWith(assembly: Assembly, destination: string): Assembly {
  const most = begunSize(assembly);
  const size = most > 0 ? linkEnded(assembly.trees[0]!.path, destination, most) : 0;
  return size > 0 ? { ...assembly, there: { path: destination, size } } : assembly;
}

/** How many bytes at the beginning of a NAR lie in the tree that was begun where they lie in the NAR. */
function begunSize({ trees, parts }: Assembly): number {
  let size = 0;
  if (!trees[0]?.isBegun) return 0;
  for (const part of parts) {
    if (part.from?.tree !== 0 || part.from.offset !== size) break;
    size += part.size;
  }
  return size;
}

/**
 * Makes a tree of the first files of another, which have both names then, as far as these are ended and lie in `most` bytes of its
 * NAR. Gives how many bytes of the NAR that is. Nobody writes to a file that is ended, and what is at the new names is to be checked.
 */
function linkEnded(from: string, to: string, most: number): number {
  const isKept = createIsKept();
  let [at, made] = [0, 0];
  for (const { size, step } of readable(partsOf(from))) {
    at += size;
    if (step === undefined) continue;
    const target = Buffer.concat([Buffer.from(to), step.path.subarray(Buffer.byteLength(from))]);
    if (at + step.rest > most || !makeAlike(step, target, isKept)) break;
    made = at + step.rest;
  }
  return made;
}

/** What cannot be read is left to who needs it. */
function* readable<T>(all: Generator<T>): Generator<T> {
  try {
    yield* all;
  } catch {}
}

/** Whether it could be made. */
function makeAlike(step: TreeStep, target: Buffer, isKept: (stats: Stats) => boolean): boolean {
  if (step.type === 'directory') mkdirSync(target, 0o700);
  else if (!isKept(step.stats)) return false;
  else if (step.type === 'end') endDirectory(target, 'store');
  else return linkTo(step, target, isKept);
  return true;
}

/**
 * Gives a file another name, and makes a symlink once more, which costs the same and can be done anywhere. Where a file system has no
 * such names, or a file no more of them, it is copied, as what is not ended.
 */
function linkTo({ type, path, stats }: TreeStep, target: Buffer, isKept: (stats: Stats) => boolean): boolean {
  try {
    if (type === 'symlink') {
      makeSymlink(readlinkSync(path, { encoding: 'buffer' }), target, 'store');
      return true;
    }
    linkSync(path, target);
  } catch {
    return false;
  }
  const linked = lstatSync(target);
  if (linked.ino === stats.ino && isKept(linked)) return true;
  unlinkSync(target);
  return false;
}

/**
 * Whether something is ended, and our own. What was there when the system was started is not known to be: files may have lost their
 * bytes, and kept their mode.
 */
function createIsKept(): (stats: Stats) => boolean {
  const user = process.geteuid?.();
  const started = Date.now() - uptime() * 1000;
  return (stats) => isEnded(stats) && stats.ctimeMs > started && (user === undefined || stats.uid === user);
}
