/** Cuts a stream where its content says so, whatever the hash parts of references in it are. */

import { copyBytes, createBufferPool } from '../../buffers.js';
import { HASH_PART_LENGTH } from '../../nix/store-path.js';
import { createCutFinder } from '../gear/cut-finder.js';
import { CUTTING, CUTTING_RULES, type Cutting, countBeginnings } from './density.js';
import { beginningAtEnd, type HashPartFinder } from './hash-parts.js';

/**
 * Bytes of a chunk: at most, and of the first one of a NAR and of others, which are so small where files are, at least. The rule of cutting
 * says when.
 */
export const CHUNK_SIZES = { dense: 32 * 1024, first: 256 * 1024, max: 2 * 1024 * 1024 } as const;

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

/** How a stream is cut. */
export interface ChunkerOptions {
  readonly room?: ChunkRoom;
  readonly cutting?: Cutting;
  /** Bytes of the NAR before the stream: a chunk ends there. */
  readonly from?: number;
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
  { room = oneBuffer(), cutting = CUTTING, from = 0 }: ChunkerOptions = {},
): Chunker {
  const open = createOpenChunk(finder, room.take(), cutting, from);
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
function createOpenChunk(finder: HashPartFinder, memory: Uint8Array, cutting: Cutting, from: number) {
  let buffer = memory;
  // Where it begins in the NAR.
  let start = from;
  // Of what is used, so much has been looked at.
  let [used, settled] = [0, 0];
  let positions: number[] = [];
  let references: number[] = [];
  const cuts = createWindows(cutting);
  const { least } = CUTTING_RULES[cutting];
  cuts.begin(start);

  /** Where the chunk ends in bytes without hash parts that go to `end`, or -1. */
  const cutBefore = (end: number): number => {
    const from = Math.max(settled, start === 0 ? CHUNK_SIZES.first : least);
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
      start += used - bytes.length;
      buffer = next;
      copyBytes(bytes, buffer, 0);
      [used, settled] = [bytes.length, 0];
      [positions, references] = [[], []];
      cuts.begin(start);
    },
  };
}

/** Looks for the end of a chunk, window by window: what is in one says whether the next one is hashed, and how often it is cut. */
function createWindows(cutting: Cutting) {
  const rule = CUTTING_RULES[cutting];
  const { window } = rule;
  const cuts = createCutFinder();
  let limit = 0;
  let large = rule.large[0];
  // How many files begin in the chunk before each of its windows, as far as they were entered.
  let begun = [0];
  /** Comes to the next window; the hash begins anew where it was not wanted in the one before. */
  const enterNext = (chunk: Uint8Array): void => {
    const start = begun.length * window;
    if (limit === 0) cuts.restart();
    const files = begun.at(-1)! + countBeginnings(chunk.subarray(start - window, start));
    const recently = files - (begun.at(-rule.recent) ?? 0);
    begun.push(files);
    const dense = recently >= rule.beginnings ? rule.dense.findLast(({ waste }) => files * start >= waste) : undefined;
    limit = dense?.limit ?? (start < large.least ? 0 : large.limit);
  };
  return {
    /** Where a chunk ends in its bytes between two places, without hash parts, or -1. */
    find(chunk: Uint8Array, from: number, to: number): number {
      for (let at = from; at < to; ) {
        const index = Math.floor(at / window);
        while (begun.length <= index) enterNext(chunk);
        const end = Math.min(to, (index + 1) * window);
        const cut = limit > 0 ? cuts.find(chunk.subarray(at, end), limit) : -1;
        if (cut >= 0) return at + cut;
        at = end;
      }
      return -1;
    },
    /** A chunk begins somewhere in the NAR. */
    begin(offset: number): void {
      limit = 0;
      begun = [0];
      large = rule.large.findLast(({ from }) => offset >= from) ?? rule.large[0];
    },
  };
}

/** One chunk after another in the same memory. */
function oneBuffer(): ChunkRoom {
  const buffer = buffers.take();
  return { take: () => buffer, close: () => buffers.giveBack(buffer) };
}
