/** The body of the thread of `small-files.ts`: a batch at a time, in its order. */

import { createHash } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import { ownMemory } from '../buffers.js';
import { formatError, isErrno } from '../errors.js';
import { findFiles, readEntries, statFiles } from './directory-files.js';
import type { FileAnswer, FileOperation, FileResult } from './small-files.js';
import { writeWhole } from './unpack.js';

const port = parentPort!;

port.on('message', (operations: readonly FileOperation[]) => {
  const answers = operations.map(answer);
  const buffers = answers.flatMap((each) => ('bytes' in each && each.bytes ? [each.bytes.buffer as ArrayBuffer] : []));
  port.postMessage(answers, buffers);
});

// Bytes that were moved away before cannot be received: the thread ends, and its batch fails.
port.on('messageerror', (error) => {
  throw error;
});

function answer(operation: FileOperation): FileAnswer {
  try {
    return perform(operation);
  } catch (error) {
    return { error: { ...(error as Error), message: (error as Error).message } };
  }
}

function perform(operation: FileOperation): FileResult {
  if (operation.type === 'read') return { bytes: read(operation) };
  if (operation.type === 'find') return found(findFiles(operation.directory, operation.limit));
  if (operation.type === 'entries') return found(readEntries(operation.directory, operation.prefix));
  if (operation.type === 'stat') return found(statFiles(operation.directory, operation.paths));
  if (operation.type === 'md5') return { bytes: md5(operation) };
  if (operation.type === 'write') write(operation);
  else if (operation.type === 'move') move(operation.from, operation.to);
  else if (operation.type === 'announce') announce(operation);
  else if (operation.type === 'link') link(operation);
  else unlink(operation);
  return {};
}

function found(items: readonly unknown[] | undefined): FileResult {
  return items ? { json: JSON.stringify(items) } : {};
}

function read({ path, limit }: Extract<FileOperation, { type: 'read' }>): Uint8Array | undefined {
  try {
    const stats = statSync(path);
    if (stats.isDirectory()) return undefined;
    // A pipe or a device would block, or never end.
    if (!stats.isFile()) throw formatError(`\`${path}\``, 'is not a plain file');
    if (stats.size > limit) throw formatError(`\`${path}\``, `has more than ${limit} bytes`);
    return ownMemory(readFileSync(path));
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return undefined;
    throw error;
  }
}

const MD5_READ_SIZE = 256 * 1024;

function md5({ path, start, size, into }: Extract<FileOperation, { type: 'md5' }>): Uint8Array {
  const hasher = createHash('md5');
  const pieceSize = Math.min(size, MD5_READ_SIZE);
  const buffer = into ? undefined : Buffer.allocUnsafe(pieceSize);
  const file = openSync(path, 'r');
  try {
    for (let offset = 0; offset < size; ) {
      const wanted = Math.min(pieceSize, size - offset);
      const room = buffer ?? Buffer.from(into!, offset, wanted);
      const read = readSync(file, room, 0, wanted, start + offset);
      if (read === 0) throw new Error(`\`${path}\` has fewer bytes than it should`);
      hasher.update(room.subarray(0, read));
      offset += read;
    }
  } finally {
    closeSync(file);
  }
  return ownMemory(hasher.digest());
}

function announce({ path, bytes, moves }: Extract<FileOperation, { type: 'announce' }>): void {
  create(path, bytes);
  for (const [from, to] of moves) move(from, to);
}

function create(path: string, bytes: Uint8Array): void {
  const file = openSync(path, 'wx');
  try {
    writeWhole(file, bytes);
  } finally {
    closeSync(file);
  }
}

function write({ path, temporary, bytes }: Extract<FileOperation, { type: 'write' }>): void {
  try {
    create(temporary, bytes);
    move(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

function move(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    mkdirSync(dirname(to), { recursive: true });
    renameSync(from, to);
  }
}

function link({ directory, targets }: Extract<FileOperation, { type: 'link' }>): void {
  for (const [name, target] of targets) symlinkSync(target, join(directory, name));
}

function unlink({ directory, names }: Extract<FileOperation, { type: 'unlink' }>): void {
  for (const name of names) {
    try {
      unlinkSync(join(directory, name));
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }
}
