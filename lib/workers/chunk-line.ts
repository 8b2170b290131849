/**
 * Chunks of one large NAR in memory that threads share: one thread cuts it and writes what comes of it in order, and
 * all compress. Nothing is sent between them: who wants work looks for a slot that is full.
 */

import { MOST_HASH_PARTS } from '../compression/chunks/chunker.js';
import { VIEW_HASH_SIZE } from '../compression/chunks/view.js';

/** A line as it is handed to threads. */
export interface ChunkLine {
  readonly memory: SharedArrayBuffer;
  readonly slots: number;
  /** Bytes that the compressed form of a chunk may take: what comes in and what goes out has room for as many. */
  readonly frameBound: number;
  /** Of a line of decompression: writes to files of what is in the memory. */
  readonly writes?: SharedArrayBuffer;
}

/** A frame as it is in a slot; the bytes are those of the slot. */
export interface LineFrame {
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly viewHash: Uint8Array;
}

/** Compresses a chunk, with hash parts at positions, into the memory beside it. */
export type CompressChunk = (
  chunk: Uint8Array,
  positions: Uint32Array,
  into: Uint8Array,
) => { readonly compressedSize: number; readonly viewHash: Uint8Array };

/** A slot belongs to who fills it while it is empty or done, to who has taken it while it is taken, else to nobody. */
const [EMPTY, FULL, TAKEN, DONE] = [0, 1, 2, 3];

/** Numbers at the beginning of the memory: how often a slot was filled, and was done; whether no more comes; calls back; the oldest slot. */
const [FILLED, FINISHED, ENDED, RECALLS, OLDEST] = [0, 1, 2, 3, 4];
const HEADER = 5;

/** Numbers of each slot: its state, the size of its chunk and of its frame, how many hash parts it has. */
const [STATE, SIZE, COMPRESSED, HASH_PARTS] = [0, 1, 2, 3];
const NUMBERS = 4;

/** After so long without a word another thread is taken for lost. */
const LOST_MS = 10_000;

/** So often a thread is waited for, which may have been stopped with all others for any time. */
const MOST_WAITS = 6;

/** Makes a line that nobody has filled; `frameBound` as in `ChunkLine`. */
export function createChunkLine(slots: number, frameBound: number): ChunkLine {
  const slotSize = 4 * NUMBERS + 4 * MOST_HASH_PARTS + VIEW_HASH_SIZE + 2 * frameBound;
  return { memory: new SharedArrayBuffer(4 * HEADER + slots * slotSize), slots, frameBound };
}

/** A line that nobody has filled, in the memory of one that nobody uses any more. */
export function renewChunkLine({ memory, slots, frameBound }: ChunkLine): ChunkLine {
  new Int32Array(memory, 0, HEADER + slots * NUMBERS).fill(0);
  return { memory, slots, frameBound };
}

export type OpenChunkLine = ReturnType<typeof openChunkLine>;

/** The line as a thread sees it. */
export function openChunkLine(line: ChunkLine) {
  const memory = memoryOf(line);
  const { numbers, at, chunkOf, frameOf, positionsOf, hashOf } = memory;
  const work = createWork(memory, line.slots);
  const tell = (what: number): void => tellOf(numbers, what);
  const isEnded = () => Atomics.load(numbers, ENDED) === 1;
  const isDone = (slot: number) => Atomics.load(numbers, at(slot, STATE)) === DONE;
  return {
    slots: line.slots,
    chunkOf,
    isEnded,
    isDone,
    /** Says that the chunk of a slot is there, of so many bytes, and where hash parts stand in it. */
    fill(slot: number, size: number, positions: readonly number[] = []): void {
      numbers[at(slot, SIZE)] = size;
      numbers[at(slot, HASH_PARTS)] = positions.length;
      positionsOf(slot).set(positions);
      Atomics.store(numbers, at(slot, STATE), FULL);
      tell(FILLED);
    },
    frame(slot: number): LineFrame {
      const bytes = frameOf(slot).subarray(0, numbers[at(slot, COMPRESSED)]);
      return { size: numbers[at(slot, SIZE)]!, bytes, viewHash: hashOf(slot) };
    },
    empty(slot: number): void {
      Atomics.store(numbers, OLDEST, (slot + 1) % line.slots);
      Atomics.store(numbers, at(slot, STATE), EMPTY);
    },
    /** Has a slot done: does it or what else is there, which `other` may know of, or waits for those who have taken it. */
    finish(slot: number, compress: CompressChunk, other?: () => boolean): void {
      for (let waits = 0; !isDone(slot); ) {
        const finished = Atomics.load(numbers, FINISHED);
        if (work.anywhere(slot, compress) || isDone(slot) || other?.()) continue;
        // A thread may have been stopped, and go on: nobody else may write where it writes.
        if (Atomics.wait(numbers, FINISHED, finished, LOST_MS) === 'timed-out') waits++;
        if (waits === MOST_WAITS && !isDone(slot)) throw new Error('a thread has ended with what it had taken');
      }
    },
    /** No more comes: those who help leave. */
    end(): void {
      Atomics.store(numbers, ENDED, 1);
      tell(FILLED);
    },
    /** Those who help are wanted elsewhere. */
    recall(): void {
      Atomics.add(numbers, RECALLS, 1);
      tell(FILLED);
    },
    recalls: () => Atomics.load(numbers, RECALLS),
    /** There is other work for those who help. */
    wake: () => tell(FILLED),
    /** Compresses until no more comes, or who began at `recalls` is called back; `other` does other work, if there is any. */
    help(recalls: number, compress: CompressChunk, other?: () => boolean): void {
      while (!isEnded() && Atomics.load(numbers, RECALLS) === recalls) {
        const filled = Atomics.load(numbers, FILLED);
        if (!work.oldest(compress) && !other?.()) Atomics.wait(numbers, FILLED, filled, LOST_MS);
      }
    },
  };
}

/** Where everything is: numbers, positions, hashes, chunks, frames. */
function memoryOf({ memory, slots, frameBound }: ChunkLine) {
  const numbers = new Int32Array(memory, 0, HEADER + slots * NUMBERS);
  const positions = numbers.byteLength;
  const hashes = positions + slots * 4 * MOST_HASH_PARTS;
  const chunks = hashes + slots * VIEW_HASH_SIZE;
  const frames = chunks + slots * frameBound;
  return {
    numbers,
    /** The place of a number of a slot. */
    at: (slot: number, field: number) => HEADER + slot * NUMBERS + field,
    positionsOf: (slot: number) => new Uint32Array(memory, positions + slot * 4 * MOST_HASH_PARTS, MOST_HASH_PARTS),
    hashOf: (slot: number) => new Uint8Array(memory, hashes + slot * VIEW_HASH_SIZE, VIEW_HASH_SIZE),
    chunkOf: (slot: number) => new Uint8Array(memory, chunks + slot * frameBound, frameBound),
    frameOf: (slot: number) => new Uint8Array(memory, frames + slot * frameBound, frameBound),
  };
}

function createWork(memory: ReturnType<typeof memoryOf>, slots: number) {
  const { numbers, at, chunkOf, frameOf, positionsOf, hashOf } = memory;
  const workAt = (slot: number, compress: CompressChunk): void => {
    const chunk = chunkOf(slot).subarray(0, numbers[at(slot, SIZE)]);
    const positions = positionsOf(slot).subarray(0, numbers[at(slot, HASH_PARTS)]);
    const { compressedSize, viewHash } = compress(chunk, positions, frameOf(slot));
    numbers[at(slot, COMPRESSED)] = compressedSize;
    hashOf(slot).set(viewHash);
    Atomics.store(numbers, at(slot, STATE), DONE);
    tellOf(numbers, FINISHED);
  };
  const unlessTaken = (slot: number, compress: CompressChunk): boolean => {
    if (Atomics.compareExchange(numbers, at(slot, STATE), FULL, TAKEN) !== FULL) return false;
    try {
      workAt(slot, compress);
    } catch (error) {
      // Whoever fills the line will meet the same, and say so.
      Atomics.store(numbers, at(slot, STATE), FULL);
      throw error;
    }
    return true;
  };
  /** Compresses what is in the first slot from one on that is full and not taken; whether there was any. */
  const anywhere = (from: number, compress: CompressChunk): boolean => {
    for (let step = 0; step < slots; step++) if (unlessTaken((from + step) % slots, compress)) return true;
    return false;
  };
  return {
    anywhere,
    /** The oldest is waited for, and who reads files for what is in slots does so in their order. */
    oldest: (compress: CompressChunk) => anywhere(Atomics.load(numbers, OLDEST), compress),
  };
}

function tellOf(numbers: Int32Array<SharedArrayBuffer>, what: number): void {
  Atomics.add(numbers, what, 1);
  Atomics.notify(numbers, what);
}
