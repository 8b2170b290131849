/** A file that is read once: its copy, its hash, the store path it lies in. */

import { createHash } from 'node:crypto';
import { constants, createWriteStream } from 'node:fs';
import { type FileHandle, open, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CarportError, isErrno } from '../../lib/errors.js';
import { DEFAULT_STORE_DIR, isStorePath } from '../../lib/nix/store-path.js';

/** What was read of a file. */
export interface FileDigest {
  /** Bytes. */
  readonly size: number;
  /** 64 hex digits. */
  readonly sha256: string;
}

const PIECE = 256 * 1024;

/** What else is done with the bytes of a file that is read. */
export interface FileReading {
  /** A path to which they are written; nothing may be there. */
  readonly copy?: string;
  /** Told of each piece how many bytes it has. */
  readonly onBytes?: (bytes: number) => void;
}

/**
 * Reads a file once and tells what it was. The file may change meanwhile: the digest is that of the copy. Throws `E_USAGE`
 * for what is no plain file, which is not waited for.
 */
export async function readLocalFile(path: string, { copy, onBytes }: FileReading = {}): Promise<FileDigest> {
  const file = await openPlain(path);
  try {
    const pieces = file.createReadStream({ highWaterMark: PIECE, autoClose: false });
    const to = copy === undefined ? undefined : createWriteStream(copy, { flags: 'wx' });
    return await digestOf(pieces, { ...(to && { to }), ...(onBytes && { onBytes }) });
  } catch (cause) {
    if (copy === undefined || !isErrno(cause, 'ENOSPC', 'EDQUOT')) throw cause;
    const directory = dirname(copy);
    throw new CarportError('E_IO', `there is no room for a copy of \`${path}\`: the disk is full`, {
      cause,
      hint: `free some space in \`${directory}\` and run it again: nothing was uploaded`,
    });
  } finally {
    await file.close();
  }
}

/** Where bytes go that are read, and who is told. */
export interface Digesting {
  readonly to?: Writable;
  readonly onBytes?: (bytes: number) => void;
}

/** The size and hash of bytes, which need not be written anywhere. */
export async function digestOf(
  pieces: AsyncIterable<Uint8Array>,
  { to = nowhere(), onBytes }: Digesting = {},
): Promise<FileDigest> {
  const hasher = createHash('sha256');
  let size = 0;
  await pipeline(
    pieces,
    async function* (source: AsyncIterable<Uint8Array>) {
      for await (const piece of source) {
        hasher.update(piece);
        size += piece.length;
        onBytes?.(piece.length);
        yield piece;
      }
    },
    to,
  );
  return { size, sha256: hasher.digest('hex') };
}

/** The store path that a file is taken from, links followed; `undefined` for one that lies in no store. */
export async function storePathOfFile(path: string): Promise<string | undefined> {
  const real = await realpath(path);
  // Carport's own store has the same directories below a root.
  const [, below = ''] = real.split(`${DEFAULT_STORE_DIR}/`, 2);
  const storePath = `${DEFAULT_STORE_DIR}/${below.split('/', 1)[0]}`;
  return isStorePath(storePath, DEFAULT_STORE_DIR) ? storePath : undefined;
}

/** A pipe would block when it is opened, and a device might never end. */
async function openPlain(path: string): Promise<FileHandle> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw notPlain(path);
}

/** The error of a pipe, a device or a directory in the place of a file. */
export function notPlain(path: string): CarportError {
  return new CarportError('E_USAGE', `\`${path}\` is no plain file`, { hint: 'name a file that can be published' });
}

function nowhere(): Writable {
  return new Writable({ write: (_, __, done) => done() });
}
