/** A compressed NAR of a cache, read and checked as it streams; the jobs that unpack share it. */

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { readNarEvents } from '../../compression/nar-events.js';
import type { ExpectedNar } from '../../compression/verified-nar.js';
import { loadZstd } from '../../compression/zstd-binding.js';
import { CarportError, isErrno } from '../../errors.js';
import type { NarEvent } from '../../nix/nar/event.js';
import type { ChunkLine } from '../chunk-line.js';
import { createKeeper, type KeptSource } from '../files/kept-source.js';
import type { SharedWrites } from '../files/shared-writes.js';
import type { JobContext } from '../jobs.js';
import type { Assembly } from './delta/assembly.js';

const READ_SIZE = 256 * 1024;

/** A compressed NAR: what was promised of it, and where it is. */
interface CompressedNar {
  readonly promise: ExpectedNar;
  /** When it is a file of this machine; otherwise it comes from the job's source. */
  readonly file?: string | undefined;
  /** The source gives what is not here of it. */
  readonly assembly?: Assembly | undefined;
  /** Where what comes from the source is kept. */
  readonly kept?: KeptSource | undefined;
  /** Shared with threads that help, where it is large. */
  readonly line?: ChunkLine | undefined;
  /** Writes of what it holds that are shared, too. */
  readonly writes?: SharedWrites | undefined;
}

/**
 * Reads a compressed NAR of an untrusted cache, and gives its bytes and their events to `take` as they come, which takes all
 * of them. Throws at the end unless all of it is as promised. Gives the bytes of the compressed NAR.
 */
export async function readCompressedNar(
  { line, writes, ...nar }: CompressedNar,
  { source, progress }: JobContext,
  take: (bytes: Uint8Array, events: Iterable<NarEvent>) => void,
): Promise<number> {
  if (line) await loadZstd();
  const zstd = line && (await import('../line-decompressor.js')).createLineDecompressor(line, writes);
  let fileSize = 0;
  const pieces = compressedPieces({ ...nar, line, writes }, source, (size) => {
    fileSize += size;
  });
  for await (const { bytes, events } of readNarEvents(nar.promise, pieces, zstd)) {
    take(bytes, events);
    progress(bytes.length);
  }
  return fileSize;
}

/** The bytes of a compressed NAR as its decompressor may have them, or of one that is made; `onSize` is told how many came. */
export async function* compressedPieces(
  { promise, file, kept, assembly, line, writes }: CompressedNar,
  source: AsyncIterable<Uint8Array>,
  onSize: (size: number) => void,
): AsyncGenerator<Uint8Array> {
  const reuses = MAY_BE_REUSED.has(promise.compression);
  const keep = kept && createKeeper(kept);
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const bytes of file === undefined ? source : readFileInPieces(file, true)) {
      onSize(bytes.length);
      keep?.(bytes);
      yield reuses ? bytes : Uint8Array.from(bytes);
    }
  }
  if (assembly === undefined) return yield* counted();
  const { assembleNar } = await import('./delta/assemble.js');
  yield* assembleNar(assembly, counted(), { line, writes });
}

/** Most NARs are smaller than this: they are read in one go. */
const SMALL_SIZE = 16 * 1024;

/** Whose readers are done with a piece when they ask for the next. */
const MAY_BE_REUSED: ReadonlySet<string> = new Set(['zstd', 'none']);

/**
 * A file of a cache. What goes wrong with it is the cache's fault, and becomes a `CarportError`; the rest is this machine's. Each
 * piece has memory of its own, unless it may be used again when the next one is asked for.
 */
export function* readFileInPieces(path: string, reuses = false): Generator<Uint8Array> {
  const file = openFile(path);
  let buffer: Buffer = Buffer.alloc(0);
  try {
    for (let size = SMALL_SIZE; ; size = READ_SIZE) {
      if (!reuses || buffer.length < size) buffer = Buffer.allocUnsafe(size);
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
