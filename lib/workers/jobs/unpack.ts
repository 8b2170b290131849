import { closeSync, openSync, readSync } from 'node:fs';
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

function* readFileInPieces(path: string): Generator<Uint8Array> {
  const file = openFile(path);
  try {
    // Each piece has memory of its own: the decompressor may still hold the one before.
    let size = SMALL_SIZE;
    for (;;) {
      const buffer = Buffer.allocUnsafe(size);
      const read = readSync(file, buffer);
      if (read === 0) return;
      yield buffer.subarray(0, read);
      size = READ_SIZE;
    }
  } finally {
    closeSync(file);
  }
}

/** Most NARs are smaller than this: they are read in one go. */
const SMALL_SIZE = 16 * 1024;

function openFile(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw new CarportError('E_NOT_FOUND', `\`${path}\` is missing`, { cause: error });
  }
}
