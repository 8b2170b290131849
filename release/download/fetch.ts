/** One file, from a bucket to its place: gone on with after a kill, and there only when it is what was signed. */

import { createHash, type Hash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { CarportError } from '../../lib/errors.js';
import { makeDirectory, makeRealDirectory } from '../../lib/filesystem/make-directory.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { leavePart, type Part, takePart } from './part.js';
import type { WantedFile } from './wanted.js';

/** Where files go, and what is told of it. */
export interface Fetching {
  readonly directory: string;
  readonly signal: AbortSignal;
  /** Told of bytes that came, or were here. */
  onBytes(bytes: number): void;
}

/** What has become of a file. `here`: it was there already, and nothing was asked. */
export interface Fetched {
  readonly file: WantedFile;
  readonly path: string;
  readonly state: 'fetched' | 'here';
  /** Bytes of an earlier run that were gone on with. */
  readonly resumed: number;
}

const PIECE = 256 * 1024;

/**
 * Brings a file to its place. What is there already with the same hash stays; what another run has left of it is gone on with, and
 * thrown away when the whole is not what was signed. A link in its place is replaced, and not followed. Throws `E_INTEGRITY` for
 * bytes that are not what was signed, `E_NOT_FOUND` where there is no object, `E_USAGE` for a link in place of a directory, and a
 * directory in its own place.
 */
export async function fetchFile(objects: ObjectStore, file: WantedFile, fetching: Fetching): Promise<Fetched> {
  const directory = await directoryOf(file, fetching.directory);
  const path = join(directory, file.parts.at(-1)!);
  if (await isHere(path, file)) {
    fetching.onBytes(file.size);
    return { file, path, state: 'here', resumed: 0 };
  }
  if ((await lstat(path).catch(() => undefined))?.isDirectory()) {
    throw new CarportError('E_USAGE', `\`${path}\` is a directory, and a file is to go there`, {
      hint: 'remove it, or name another place with `--out`',
    });
  }
  const part = await takePart(directory, file.parts.at(-1)!, partId(file));
  const resumed = await receive(objects, file, part, fetching);
  await rename(part.path, path);
  return { file, path, state: 'fetched', resumed };
}

/** Whether a file is at its place, whole: a regular one, as no link may stand for it. */
async function isHere(path: string, { size, sha256 }: WantedFile): Promise<boolean> {
  if (sha256 === undefined) return false;
  const stats = await lstat(path).catch(() => undefined);
  if (!stats?.isFile() || stats.size !== size) return false;
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(() => undefined);
  if (handle === undefined) return false;
  try {
    const hash = createHash('sha256');
    await readInto(handle, hash, size);
    return hash.digest('hex') === sha256;
  } finally {
    await handle.close();
  }
}

function partId({ sha256, key, size }: WantedFile): string {
  return sha256?.slice(0, 32) ?? createHash('sha256').update(`${key} ${size}`).digest('hex').slice(0, 32);
}

async function directoryOf({ parts }: WantedFile, directory: string): Promise<string> {
  await makeDirectory(directory);
  if (parts.length === 1) return directory;
  const path = join(directory, parts[0]!);
  await makeRealDirectory(path);
  return path;
}

/** Gives the bytes that were there of an earlier run. */
async function receive(objects: ObjectStore, file: WantedFile, part: Part, fetching: Fetching): Promise<number> {
  const { handle } = part;
  try {
    const isKnown = file.sha256 !== undefined;
    const { size: found } = await handle.stat();
    const kept = isKnown && found <= file.size ? found : 0;
    if (await receiveFrom(kept, objects, file, { handle, ...fetching })) return kept;
    if (kept > 0 && (await receiveFrom(0, objects, file, { handle, ...fetching, onBytes: () => undefined }))) return 0;
  } catch (error) {
    await leavePart(part);
    throw error;
  } finally {
    await handle.close();
  }
  await unlink(part.path).catch(() => undefined);
  throw new CarportError('E_INTEGRITY', `\`${file.key}\` in \`${objects.url}\` is not what was signed`, {
    hint: 'it, or what lies between, is damaged or was tampered with: tell the project, and do not use it',
  });
}

interface Receiving extends Fetching {
  readonly handle: FileHandle;
}

/** Receives what is missing behind the bytes that are there; false where the whole is not what was signed. */
async function receiveFrom(
  kept: number,
  objects: ObjectStore,
  file: WantedFile,
  receiving: Receiving,
): Promise<boolean> {
  const { handle, onBytes, signal } = receiving;
  const hash = createHash('sha256');
  await readInto(handle, hash, kept);
  onBytes(kept);
  let at = kept;
  if (at < file.size || file.size === 0) {
    const rest = { offset: at, length: file.size - at };
    const object = await objects.open(file.key, at === 0 ? undefined : rest);
    if (object === undefined) {
      throw new CarportError('E_NOT_FOUND', `there is no \`${file.key}\` in \`${objects.url}\``, {
        hint: 'the release was removed, or is being made: run it again, or tell the project',
      });
    }
    for await (const bytes of object.bytes()) {
      signal.throwIfAborted();
      if (at + bytes.length > file.size) {
        object.discard();
        return false;
      }
      await writeAt(handle, bytes, at);
      hash.update(bytes);
      at += bytes.length;
      onBytes(bytes.length);
    }
  }
  if (at !== file.size) return false;
  if (file.sha256 !== undefined && hash.digest('hex') !== file.sha256) return false;
  await handle.truncate(file.size);
  return true;
}

async function readInto(handle: FileHandle, hash: Hash, size: number): Promise<void> {
  const buffer = Buffer.allocUnsafe(PIECE);
  for (let at = 0; at < size; ) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(PIECE, size - at), at);
    if (bytesRead === 0) return;
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}

async function writeAt(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let offset = 0; offset < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, offset, bytes.length - offset, position + offset);
    offset += bytesWritten;
  }
}
