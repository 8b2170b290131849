/** Files and trees that are there whole or not at all. */

import { type FileHandle, open, rename } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { FULL, isErrno } from '../errors.js';
import { createTemporaryNames, removeLeftovers, removeTree } from './temporary.js';

/**
 * Makes a file or tree that is there whole or not at all: `make` is given a temporary name beside `path`, and what it has
 * made there is renamed. What it leaves when it fails is removed.
 */
export async function writeAtomically<T>(path: string, make: (temporary: string) => Promise<T>): Promise<T> {
  const directory = dirname(resolve(path));
  await removeLeftovers(directory);
  const temporary = (await createTemporaryNames(directory))();
  try {
    const result = await make(temporary);
    await rename(temporary, path);
    return result;
  } catch (error) {
    await removeTree(temporary);
    throw error;
  }
}

/** Writes a stream to a new file; gives its size. */
export async function writeStream(path: string, pieces: AsyncIterable<Uint8Array>): Promise<number> {
  const file = await open(path, 'wx');
  try {
    let size = 0;
    for await (const bytes of pieces) {
      await writeAll(file, bytes);
      size += bytes.length;
    }
    return size;
  } catch (error) {
    // What a write fails with names no file.
    if (isErrno(error, ...FULL) && error.path === undefined) error.path = path;
    throw error;
  } finally {
    await file.close();
  }
}

/** One call of `write` may take fewer bytes. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let offset = 0; offset < bytes.length; ) {
    offset += (await file.write(bytes, offset)).bytesWritten;
  }
}

/** Makes a file of this content as `writeAtomically` does. */
export async function writeBytesAtomically(path: string, content: Uint8Array | string): Promise<void> {
  const pieces = async function* () {
    yield Buffer.from(content);
  };
  await writeAtomically(path, (temporary) => writeStream(temporary, pieces()));
}
