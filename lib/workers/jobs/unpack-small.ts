/** The job that unpacks small NARs, many in one go: what is not as it should be is left to the job for one. */

import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createSmallNarReader, SMALL_NAR, type SmallNarReader } from '../../compression/small-nar.js';
import { createUnpacker } from '../../filesystem/unpack.js';
import { readWholeNar } from '../../nix/nar/whole.js';
import type { Placement, SmallNar, SmallNarState, UnpackSmallJob } from '../jobs.js';

/** Unpacks NARs in their order, and gives what became of each. Fails for none of them. */
export async function unpackSmall({ nars, bytes }: UnpackSmallJob): Promise<readonly SmallNarState[]> {
  const list = JSON.parse(nars) as readonly SmallNar[];
  const read = await createReader().catch(() => undefined);
  const given = bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 0;
  return list.map((nar): SmallNarState => {
    const start = offset;
    if (nar.file === undefined) offset += nar.promise.fileSize;
    if (read === undefined) return 'refused';
    try {
      const file = nar.file === undefined ? given?.subarray(start, offset) : readFile(nar.file);
      if (file === undefined || !unpack(nar, file, read)) return 'refused';
    } catch {
      return 'refused';
    }
    return nar.placement ? place(nar.destination, nar.placement) : 'unpacked';
  });
}

let reader: Promise<SmallNarReader> | undefined;

/** It is made once in a thread. */
function createReader(): Promise<SmallNarReader> {
  reader ??= createSmallNarReader();
  return reader;
}

/** Files are read into it: one is done with before the next. */
const input = Buffer.allocUnsafeSlow(SMALL_NAR + 1);

function readFile(path: string): Buffer | undefined {
  // Not blocking: a pipe in place of the file would hold the thread for ever.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!fstatSync(file).isFile()) return undefined;
    let size = 0;
    for (let read = -1; read !== 0 && size < input.length; size += read) {
      read = readSync(file, input, size, input.length - size, null);
    }
    return input.subarray(0, size);
  } finally {
    closeSync(file);
  }
}

function unpack({ promise, destination }: SmallNar, file: Buffer, read: SmallNarReader): boolean {
  const nar = read(promise, file);
  if (nar === undefined) return false;
  const apply = createUnpacker(destination, 'store');
  try {
    return readWholeNar(nar, apply);
  } finally {
    apply.close();
  }
}

function place(tree: string, { path, claim, content, metadata }: Placement): SmallNarState {
  try {
    // Another process was faster, or it is another path of that hash part.
    if (statSync(metadata, { throwIfNoEntry: false })) return 'unpacked';
    writeFileSync(claim, content, { flag: 'wx' });
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
