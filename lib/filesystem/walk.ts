/** A file tree as NAR events. */

import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { createBufferPool } from '../buffers.js';
import { CarportError } from '../errors.js';
import type { NarEvent } from '../nix/nar/event.js';

const READ_SIZE = 256 * 1024;
const OWNER_EXECUTE = 0o100;

/**
 * The tree at `path` as NAR events: names in bytewise order, symlinks kept and never followed, names as bytes. Reads
 * synchronously; use it in a worker, or step by step.
 */
export function* walkTree(path: string | Uint8Array): Generator<NarEvent> {
  const buffer = buffers.take();
  yield* walkNode(Buffer.from(path as string), buffer);
  buffers.giveBack(buffer);
}

const buffers = createBufferPool(READ_SIZE);

function* walkNode(path: Buffer, buffer: Buffer): Generator<NarEvent> {
  const stats = lstatSync(path);
  if (stats.isDirectory()) {
    yield { type: 'directory' };
    for (const name of readdirSync(path, { encoding: 'buffer' }).sort(Buffer.compare)) {
      yield { type: 'entry', name };
      yield* walkNode(childPath(path, name), buffer);
    }
    yield { type: 'end' };
  } else if (stats.isFile()) {
    yield* walkFile(path, buffer);
  } else if (stats.isSymbolicLink()) {
    yield { type: 'symlink', target: readlinkSync(path, { encoding: 'buffer' }) };
  } else {
    throw new CarportError('E_FORMAT', `\`${path}\` is neither file, directory nor symlink`, {
      hint: 'sockets, pipes and devices cannot be in a store path: remove it',
    });
  }
}

function* walkFile(path: Buffer, buffer: Buffer): Generator<NarEvent> {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const { size, mode } = fstatSync(file);
    yield { type: 'regular', executable: (mode & OWNER_EXECUTE) !== 0, size };
    let missing = size;
    while (missing > 0) {
      const read = readSync(file, buffer, 0, Math.min(missing, READ_SIZE), null);
      if (read === 0) throw new CarportError('E_INTEGRITY', `\`${path}\` became shorter while it was read`);
      missing -= read;
      yield { type: 'contents', bytes: buffer.subarray(0, read) };
    }
    yield { type: 'end' };
  } finally {
    closeSync(file);
  }
}

/** Paths are bytes: a name need not be UTF-8. */
export function childPath(directory: Uint8Array, name: Uint8Array): Buffer {
  return Buffer.concat([directory, Buffer.from('/'), name]);
}
