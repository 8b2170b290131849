/** Cuts a stream where its content says so, whatever the hash parts of references in it are. */

import { copyBytes, createBufferPool } from '../../buffers.js';
import { HASH_PART_LENGTH } from '../../nix/store-path.js';
import { CUT_BELOW, createCutFinder } from '../gear/cut-finder.js';
import { CUTTING, CUTTING_RULES, type Cutting, countBeginnings } from './density.js';
import { beginningAtEnd, type HashPartFinder } from './hash-parts.js';

/**
 * Bytes of a chunk: at least, and at most (a mean of some 1.4 MiB). Smaller ones cost more in the tables of frames than a
 * reader of single chunks gains; of a toolchain chunks of half the size give 2 % more bytes. Where files are small, chunks go
 * down to `dense`, and the first one of a NAR to `first`: of a tree of small files, one that is changed would cost too many others.
 */
export const CHUNK_SIZES = { dense: 32 * 1024, first: 256 * 1024, min: 1024 * 1024, max: 2 * 1024 * 1024 } as const;

/** Room for a chunk while it is gathered: a hash part may begin with its last byte, or with the next one. */
const CHUNK_ROOM = CHUNK_SIZES.max + HASH_PART_LENGTH;

/** A chunk with more hash parts than this is taken as one that has none: what is noted of them has to stay small. */
export const MOST_HASH_PARTS = 16_384;

/** Bytes that are gathered before they are looked at: they stay in the cache of a processor. */
const STEP = 64 * 1024;

const buffers = createBufferPool(CHUNK_ROOM);
const keptRests = createBufferPool(STEP + HASH_PART_LENGTH);

/** A chunk, and the hash parts in it. */
export interface Chunk {
  readonly bytes: Uint8Array;
  /** Where each begins, and which of the finder's list it is. */
  readonly positions: readonly number[];
  readonly references: readonly number[];
}

/** Where chunks are gathered. */
export interface ChunkRoom {
  /** Room for the next chunk, of `CHUNK_ROOM` bytes. */
  take(): Uint8Array;
  /** All is done with it. */
  close(): void;
}

export interface Chunker {
  /** The chunks that these bytes complete. A chunk is valid until the next one is asked for. */
  push(bytes: Uint8Array): Generator<Chunk>;
  /** The last chunks; none of nothing. */
  end(): Generator<Chunk>;
}

/**
 * Cuts a stream where its content says so (a gear hash over the last 32 bytes that are not of a hash part), so that an insertion
 * changes the chunks around it and no others, and other hash parts in the same places change none. A cut is never within a hash
 * part: one that would cross the largest size begins the next chunk. Where files are small, chunks are. Where the pieces of `push`
 * end makes no difference.
 */
export function createChunker(
  finder: HashPartFinder,
  room: ChunkRoom = oneBuffer(),
  cutting: Cutting = CUTTING,
): Chunker {
  const open = createOpenChunk(finder, room.take(), cutting);
  const carried = keptRests.take();

  /** The chunks in what was gathered. What follows a chunk is kept elsewhere while that is looked at. */
  function* chunks(isEnd: boolean): Generator<Chunk> {
    for (let size = open.settle(isEnd); size >= 0; size = open.settle(isEnd)) {
      const { rest, ...chunk } = open.cut(size);
      copyBytes(rest, carried, 0);
      yield chunk;
      open.begin(room.take(), carried.subarray(0, rest.length));
    }
  }
  return {
    *push(bytes) {
      for (let offset = 0; offset < bytes.length; ) {
        offset += open.gather(bytes.subarray(offset, offset + STEP));
        yield* chunks(false);
      }
    },
    *end() {
      yield* chunks(true);
      const { rest: _, ...last } = open.cut(open.gathered());
      if (last.bytes.length > 0) yield last;
      keptRests.giveBack(carried);
      room.close();
    },
  };
}

/** The chunk that is being gathered. */
function createOpenChunk(finder: HashPartFinder, memory: Uint8Array, cutting: Cutting) {
  let buffer = memory;
  // Of what is used, so much has been looked at.
  let [used, settled] = [0, 0];
  let positions: number[] = [];
  let references: number[] = [];
  let isFirst = true;
  const cuts = createWindows(cutting);
  const { least } = CUTTING_RULES[cutting];

  /** Where the chunk ends in bytes without hash parts that go to `end`, or -1. */
  const cutBefore = (end: number): number => {
    const from = Math.max(settled, isFirst ? CHUNK_SIZES.first : least);
    const cut = cuts.find(buffer, from, Math.min(end, CHUNK_SIZES.max));
    if (cut >= 0) return cut;
    return end >= CHUNK_SIZES.max ? CHUNK_SIZES.max : -1;
  };

  return {
    gathered: () => used,
    /** Takes as much as there is room for. */
    gather(bytes: Uint8Array): number {
      const taken = bytes.subarray(0, CHUNK_ROOM - used);
      copyBytes(taken, buffer, used);
      used += taken.length;
      return taken.length;
    },
    /** Looks at what was gathered, as far as what follows makes no difference; the size of the chunk, when its end is there. */
    settle(isEnd: boolean): number {
      for (;;) {
        const at = finder.next(buffer, settled, used);
        const plainEnd = at >= 0 ? at : used - (isEnd ? 0 : beginningAtEnd(buffer, settled, used));
        const cut = cutBefore(plainEnd);
        if (cut >= 0) return cut;
        settled = plainEnd;
        if (at < 0) return -1;
        if (at + HASH_PART_LENGTH > CHUNK_SIZES.max) return at;
        positions.push(at);
        references.push(finder.found());
        settled = at + HASH_PART_LENGTH;
      }
    },
    cut(size: number): Chunk & { readonly rest: Uint8Array } {
      const parts = positions.length > MOST_HASH_PARTS ? { positions: [], references: [] } : { positions, references };
      return { bytes: buffer.subarray(0, size), rest: buffer.subarray(size, used), ...parts };
    },
    /** Begins the next chunk. */
    begin(next: Uint8Array, bytes: Uint8Array): void {
      buffer = next;
      copyBytes(bytes, buffer, 0);
      [used, settled] = [bytes.length, 0];
      [positions, references] = [[], []];
      isFirst = false;
      cuts.restart();
    },
  };
}

/** Looks for the end of a chunk, window by window: what is in one says whether the next one is hashed, and how often it is cut. */
function createWindows(cutting: Cutting) {
  const rule = CUTTING_RULES[cutting];
  const { window } = rule;
  const cuts = createCutFinder();
  let current = 0;
  let limit = 0;
  // Files that begin in the chunk before this window, and in each of the last windows.
  let files = 0;
  let recent: readonly number[] = [];
  /** Comes to the next window; the hash begins anew where it was not wanted in the one before. */
  const enterNext = (chunk: Uint8Array): void => {
    const start = ++current * window;
    if (limit === 0) cuts.restart();
    const begun = countBeginnings(chunk.subarray(start - window, start));
    files += begun;
    recent = [...recent, begun].slice(-rule.recent);
    const recently = recent.reduce((sum, each) => sum + each, 0);
    if (recently >= rule.beginnings && files * start >= rule.waste) limit = rule.limit;
    else limit = start < CHUNK_SIZES.min ? 0 : CUT_BELOW;
  };
  return {
    /** Where a chunk ends in its bytes between two places, without hash parts, or -1. */
    find(chunk: Uint8Array, from: number, to: number): number {
      for (let at = from; at < to; ) {
        const index = Math.floor(at / window);
        while (current < index) enterNext(chunk);
        const end = Math.min(to, (index + 1) * window);
        const cut = limit > 0 ? cuts.find(chunk.subarray(at, end), limit) : -1;
        if (cut >= 0) return at + cut;
        at = end;
      }
      return -1;
    },
    /** Another chunk begins. */
    restart(): void {
      [current, limit, files] = [0, 0, 0];
      recent = [];
    },
  };
}

/** One chunk after another in the same memory. */
function oneBuffer(): ChunkRoom {
  const buffer = buffers.take();
  return { take: () => buffer, close: () => buffers.giveBack(buffer) };
}
