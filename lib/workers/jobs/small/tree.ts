/** One small NAR as a tree: read, checked, unpacked, and given its name. The jobs for many share it. */

import { closeSync, constants, existsSync, openSync, readSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import {
  createSmallNarReader,
  SMALL_NAR,
  type SmallNarReader,
  type SmallPromise,
} from '../../../compression/small-nar.js';
import { createUnpacker } from '../../../filesystem/unpack.js';
import { readWholeNar } from '../../../nix/nar/whole.js';
import type { Placement, SmallNarState } from '../../jobs.js';

let reader: Promise<SmallNarReader | undefined> | undefined;

/** What reads small NARs; it is made once in a thread. `undefined` where it cannot be loaded. */
export function smallNarReader(): Promise<SmallNarReader | undefined> {
  reader ??= createSmallNarReader().catch(() => undefined);
  return reader;
}

/** Files are read into it: one is done with before the next. */
const input = Buffer.allocUnsafeSlow(SMALL_NAR + 1);

/**
 * The bytes of a file, or more than `SMALL_NAR` of them when it is larger; in memory that is used again. Of a file that is said to have
 * so many bytes, no more is looked at once these are there, but for one more.
 */
export function readInput(path: string, expected = Number.POSITIVE_INFINITY): Buffer {
  // Not blocking: a pipe in place of the file would hold the thread for ever. It has nothing, and is not what was promised.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    let size = 0;
    for (let read = -1; read !== 0 && size < input.length && size !== expected; size += read) {
      read = readSync(file, input, size, input.length - size, null);
    }
    return input.subarray(0, size);
  } finally {
    closeSync(file);
  }
}

/** Makes a tree of a NAR's file, if that is as promised; else something may be at the destination. */
export function unpackFile(promise: SmallPromise, file: Buffer, destination: string, read: SmallNarReader): boolean {
  const nar = read(promise, file);
  if (nar === undefined) return false;
  const apply = createUnpacker(destination, 'store');
  try {
    return readWholeNar(nar, apply);
  } finally {
    apply.close();
  }
}

/** Gives a tree its name and registers it, unless something is there. */
export function placeTree(tree: string, placement: Placement): SmallNarState {
  const { path, claim, metadata } = placement;
  try {
    // Another process was faster, or it is another path of that hash part.
    if (existsSync(metadata)) return 'unpacked';
    if (placement.written === undefined) writeFileSync(claim, placement.content, { flag: 'wx' });
    else renameSync(placement.written, claim);
    renameSync(tree, path);
  } catch {
    rmSync(claim, { force: true });
    return 'unpacked';
  }
  try {
    renameSync(claim, metadata);
    return 'placed';
  } catch {
    return 'moved';
  }
}
