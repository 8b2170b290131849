import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { readVerifiedNar } from '../../compression/verified-nar.js';
import { CarportError, isErrno } from '../../errors.js';
import { createUnpacker } from '../../filesystem/unpack.js';
import { createNarDecoder } from '../../nix/nar/decode.js';
import type { JobContext, UnpackJob, UnpackResult } from '../jobs.js';

const READ_SIZE = 256 * 1024;

/**
 * Writes the tree while the NAR arrives. The caller renames the tree only after this has returned, so that damaged
 * content is never seen under its name.
 */
export async function unpackPath(job: UnpackJob, { source, progress }: JobContext): Promise<UnpackResult> {
  const decoder = createNarDecoder();
  const apply = createUnpacker(job.destination, 'store');
  let fileSize = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const bytes of job.file === undefined ? source : readFileInPieces(job.file)) {
      fileSize += bytes.length;
      yield bytes;
    }
  }
  try {
    for await (const bytes of readVerifiedNar(job.promise, counted())) {
      for (const event of decoder.push(bytes)) apply(event);
      progress(bytes.length);
    }
    decoder.end();
  } finally {
    apply.close();
  }
  return { fileSize };
}

/** Most NARs are smaller than this: they are read in one go. */
const SMALL_SIZE = 16 * 1024;

/** What goes wrong with the file is the cache's fault, and becomes a `CarportError`; the rest is this machine's. */
function* readFileInPieces(path: string): Generator<Uint8Array> {
  const file = openFile(path);
  try {
    // Each piece has memory of its own: the decompressor may still hold the one before.
    for (let size = SMALL_SIZE; ; size = READ_SIZE) {
      const buffer = Buffer.allocUnsafe(size);
      const read = readPiece(file, buffer, path);
      if (read === 0) return;
      yield buffer.subarray(0, read);
    }
  } finally {
    closeSync(file);
  }
}

function readPiece(file: number, buffer: Buffer, path: string): number {
  try {
    return readSync(file, buffer);
  } catch (cause) {
    throw new CarportError('E_IO', `\`${path}\` cannot be read`, { cause });
  }
}

/** Not blocking: a pipe in place of the file would hold the thread for ever. */
function openFile(path: string): number {
  let file: number;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    if (isErrno(cause, 'ENOENT')) throw new CarportError('E_NOT_FOUND', `\`${path}\` is missing`, { cause });
    throw new CarportError('E_IO', `\`${path}\` cannot be read`, { cause });
  }
  if (fstatSync(file).isFile()) return file;
  closeSync(file);
  throw new CarportError('E_FORMAT', `\`${path}\` is not a plain file`);
}
