/** Makes a NAR of chunks of trees that are here and of frames that were fetched. */

import { createHashPartFinder } from '../../../compression/chunks/hash-parts.js';
import { rebuildChunk } from '../../../compression/chunks/view.js';
import { decompress } from '../../../compression/decompress.js';
import { CarportError, hasCode } from '../../../errors.js';
import type { Assembly, LocalTree } from './assembly.js';
import { type NarRanges, openNarRanges } from './nar-ranges.js';

/**
 * The bytes of a NAR, whatever they are: who reads them compares their hash. `source` gives the frames of what was fetched, one after
 * another. A piece is valid until the next one is asked for, and one ends where that does which is `there`. What is here and does not fit is
 * an `E_INTEGRITY`.
 */
export async function* assembleNar(
  { trees, parts, list, there }: Assembly,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const here = trees.map(openTree);
  const fetched = createTaker(decompress('zstd', source));
  const room = Buffer.allocUnsafe(Math.max(0, ...parts.map(({ size, from }) => (from ? size : 0))));
  let at = 0;
  try {
    if (there) yield* bytesThere(there);
    for (const { size, from } of parts) {
      const start = at;
      at += size;
      const passed = Math.max(0, (there?.size ?? 0) - start);
      if (passed >= size) continue;
      if (from === undefined) yield* fetched.take(size);
      else {
        const chunk = room.subarray(0, size);
        const { ranges, finder } = here[from.tree]!;
        readHere(ranges, chunk, from.offset);
        if (!rebuildChunk(chunk, finder, from.references, list)) throw unfit(trees[from.tree]!);
        yield chunk.subarray(passed);
      }
    }
  } finally {
    for (const { ranges } of here) ranges.close();
    fetched.close();
  }
}

function openTree({ path, list }: LocalTree) {
  return { ranges: openNarRanges(path), finder: createHashPartFinder(list) };
}

/** Larger pieces are read faster than a tree is walked, and gain nothing more. */
const PIECE_SIZE = 1024 * 1024;

function* bytesThere({ path, size }: NonNullable<Assembly['there']>): Generator<Uint8Array> {
  const ranges = openNarRanges(path);
  const piece = Buffer.allocUnsafe(Math.min(size, PIECE_SIZE));
  try {
    for (let at = 0; at < size; at += piece.length) {
      const bytes = piece.subarray(0, size - at);
      readHere(ranges, bytes, at);
      yield bytes;
    }
  } finally {
    ranges.close();
  }
}

function readHere(ranges: NarRanges, into: Uint8Array, offset: number): void {
  try {
    ranges.read(into, offset);
  } catch (cause) {
    throw hasCode(cause, 'E_IO') ? unreadable(cause) : cause;
  }
}

/** An `E_IO` would be said of where the NAR goes as well. */
function unreadable(cause: CarportError): CarportError {
  return new CarportError('E_INTEGRITY', cause.message, { cause: cause.cause, hint: cause.hint });
}

function unfit({ path }: LocalTree): CarportError {
  return new CarportError('E_INTEGRITY', `\`${path}\` has not the hash parts that a table says`);
}

/** Takes so many bytes at a time of a stream. */
function createTaker(stream: AsyncGenerator<Uint8Array>) {
  let rest: Uint8Array = new Uint8Array();
  return {
    async *take(size: number): AsyncGenerator<Uint8Array> {
      for (let missing = size; missing > 0; ) {
        if (rest.length === 0) {
          const { value, done } = await stream.next();
          if (done) throw new CarportError('E_INTEGRITY', 'less was fetched than a table says');
          rest = value;
        }
        const bytes = rest.subarray(0, missing);
        rest = rest.subarray(bytes.length);
        missing -= bytes.length;
        yield bytes;
      }
    },
    /** Not awaited: a source that does not answer would hold up an error. */
    close(): void {
      stream.return(undefined).catch(() => undefined);
    },
  };
}
