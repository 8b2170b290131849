/** Makes a NAR of chunks of trees that are here and of frames that were fetched. */

import { decompress } from '../../../compression/decompress.js';
import { CarportError } from '../../../errors.js';
import type { ChunkLine } from '../../chunk-line.js';
import type { SharedWrites } from '../../files/shared-writes.js';
import type { Assembly } from './assembly.js';
import { createLocalParts, type LocalPart, readHere } from './local-parts.js';
import { LONG_READ, openNarRanges } from './nar-ranges.js';
import { createPartsLine } from './parts-line.js';

/** What is shared with threads that help, and writes of what is made. */
interface Shared {
  readonly line?: ChunkLine | undefined;
  readonly writes?: SharedWrites | undefined;
}

/**
 * The bytes of a NAR, whatever they are: who reads them compares their hash. `source` gives the frames of what was fetched, one after
 * another. A piece is valid until the next one is asked for, and one ends where that does which is `there`. What is here and does not fit is
 * an `E_INTEGRITY`.
 */
export async function* assembleNar(
  assembly: Assembly,
  source: AsyncIterable<Uint8Array>,
  { line, writes }: Shared = {},
): AsyncGenerator<Uint8Array> {
  const fetched = createTaker(decompress('zstd', source));
  try {
    if (assembly.there) yield* bytesThere(assembly.there);
    yield* line ? assembleOnLine(assembly, fetched, line, writes) : assembleAlone(assembly, fetched);
  } finally {
    fetched.close();
  }
}

/** What is made in one go: parts that are here, whose first bytes may be there already, or so many bytes that are fetched. */
type Run = { readonly passed: number; readonly parts: readonly LocalPart[] } | { readonly size: number };

/** Chunks that are read in one go have no more bytes than this, unless it is one: more gain nothing. */
const RUN_SIZE = 512 * 1024;

/** The NAR in order, from where that ends which is there. */
function* runsOf({ parts, there }: Assembly): Generator<Run> {
  let at = 0;
  let held: LocalPart[] = [];
  let [size, passed] = [0, 0];
  function* give(): Generator<Run> {
    if (held.length > 0) yield { passed, parts: held };
    held = [];
    [size, passed] = [0, 0];
  }
  for (const part of parts) {
    const isThere = Math.max(0, (there?.size ?? 0) - at);
    at += part.size;
    if (isThere >= part.size) continue;
    if (part.from === undefined || size + part.size > RUN_SIZE) yield* give();
    if (part.from === undefined) yield { size: part.size };
    else {
      if (held.length === 0) passed = isThere;
      held.push({ size: part.size, from: part.from });
      size += part.size;
    }
  }
  yield* give();
}

async function* assembleAlone(assembly: Assembly, fetched: Taker): AsyncGenerator<Uint8Array> {
  const reader = createLocalParts(assembly);
  const room = Buffer.allocUnsafe(Math.max(0, ...assembly.parts.map(({ size, from }) => (from ? size : 0))));
  try {
    for (const run of runsOf(assembly)) {
      if ('size' in run) yield* fetched.take(run.size);
      else {
        let passed = run.passed;
        for (const part of run.parts) {
          const chunk = room.subarray(0, part.size);
          reader.read([part], chunk);
          yield chunk.subarray(passed);
          passed = 0;
        }
      }
    }
  } finally {
    reader.close();
  }
}

/** What is here is read by whoever has time, ahead of its turn. */
async function* assembleOnLine(
  assembly: Assembly,
  fetched: Taker,
  given: ChunkLine,
  writes: SharedWrites | undefined,
): AsyncGenerator<Uint8Array> {
  const line = createPartsLine(given, writes, assembly);
  const waiting: Run[] = [];
  async function* takeFirst(): AsyncGenerator<Uint8Array> {
    const run = waiting.shift()!;
    if ('size' in run) yield* fetched.take(run.size);
    else {
      let passed = run.passed;
      for (const bytes of line.takeOldest()) {
        yield bytes.subarray(passed);
        passed = 0;
      }
    }
  }
  try {
    for (const run of runsOf(assembly)) {
      waiting.push(run);
      if ('parts' in run) line.add(run.parts);
      // Not what is done already: who reads ahead is to stay ahead, since each that reads goes through the tree for itself.
      while (waiting.length > 0 && ('size' in waiting[0]! || line.isHalfFull())) yield* takeFirst();
    }
    while (waiting.length > 0) yield* takeFirst();
  } finally {
    line.close();
  }
}

function* bytesThere({ path, size }: NonNullable<Assembly['there']>): Generator<Uint8Array> {
  const ranges = openNarRanges(path);
  const piece = Buffer.allocUnsafe(Math.min(size, LONG_READ));
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

type Taker = ReturnType<typeof createTaker>;

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
