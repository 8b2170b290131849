/**
 * Writes of a thread to files, which others may do: the bytes lie in memory that all share, as a line of chunks has it. Whoever wants
 * work looks for one that is not done.
 */

import { type FileWriter, writeWhole } from '../../filesystem/unpack.js';
import type { ChunkLine } from '../chunk-line.js';

/** Writes that may be open: with the slots of a line more of them gain nothing. */
const ENTRIES = 128;

/** A number at the beginning: how often a write was done. */
const FINISHED = 0;
const HEADER = 1;

/** Numbers of each write: its state, the file, where its bytes are in the memory, how many, and their position in two halves. */
const [STATE, FILE, OFFSET, LENGTH, LOW, HIGH] = [0, 1, 2, 3, 4, 5] as const;
const NUMBERS = 6;

/** One that has failed is tried again by who asked for it, who says why. */
const [DONE, OPEN, TAKEN, FAILED] = [0, 1, 2, 3] as const;

const HALF = 2 ** 32;

/** After so long without a word another thread is taken for lost, when it was waited for so often. */
const LOST_MS = 10_000;
const MOST_WAITS = 6;

/** Memory for writes, of which none is there. */
export function createWriteList(): SharedArrayBuffer {
  return new SharedArrayBuffer(4 * (HEADER + ENTRIES * NUMBERS));
}

export type SharedWrites = ReturnType<typeof openSharedWrites>;

/** Writes as a thread sees them; `bytes` is the memory in which all of them lie. One thread adds, and waits for them. */
function openSharedWrites(list: SharedArrayBuffer, bytes: SharedArrayBuffer) {
  const numbers = new Int32Array(list);
  const entries = createEntries(numbers, bytes);
  let added = 0;
  let finished = 0;

  const finishOldest = (how: 'write' | 'takeBack' = 'write'): void => {
    for (let waits = 0; !entries.isDone(finished); ) {
      const seen = Atomics.load(numbers, FINISHED);
      if (entries[how](finished) || entries.isDone(finished)) continue;
      if (Atomics.wait(numbers, FINISHED, seen, LOST_MS) === 'timed-out') waits++;
      if (waits === MOST_WAITS && !entries.isDone(finished)) throw new Error('a thread has ended while it wrote');
    }
    finished++;
  };
  return {
    /** Whether others can write these bytes: they lie in the memory that all share. */
    canShare: (content: Uint8Array) => content.buffer === bytes,
    /** Has bytes written at a position of a file; gives how many writes there are now. */
    add(file: number, content: Uint8Array, position: number): number {
      if (added - finished === ENTRIES) finishOldest();
      entries.open(added, file, content, position);
      return ++added;
    },
    count: () => added,
    /** How many of them, in their order, are known to be done. */
    done: () => finished,
    /** Has the first so many done: does them, or waits for who does. Throws what one fails with. */
    finish(count: number): void {
      while (finished < count) finishOldest();
    },
    /** Does one that nobody has begun; whether there was any. */
    help(): boolean {
      for (let entry = 0; entry < ENTRIES; entry++) if (entries.tryToWrite(entry)) return true;
      return false;
    },
    /** Takes back what nobody has begun, and waits for the rest: no file is written to after this. */
    abandon(): void {
      while (finished < added) finishOldest('takeBack');
    },
  };
}

/** The writes of a line, where it has some. */
export function openWrites(line: ChunkLine | undefined): SharedWrites | undefined {
  return line?.writes && openSharedWrites(line.writes, line.memory);
}

function createEntries(numbers: Int32Array<SharedArrayBuffer>, bytes: SharedArrayBuffer) {
  const at = (entry: number, field: number) => HEADER + (entry % ENTRIES) * NUMBERS + field;
  const isDone = (entry: number) => Atomics.load(numbers, at(entry, STATE)) === DONE;
  const end = (entry: number, state: number): void => {
    Atomics.store(numbers, at(entry, STATE), state);
    Atomics.add(numbers, FINISHED, 1);
    Atomics.notify(numbers, FINISHED);
  };
  const take = (entry: number, from: number) =>
    Atomics.compareExchange(numbers, at(entry, STATE), from, TAKEN) === from;
  const takeLeft = (entry: number) => take(entry, OPEN) || take(entry, FAILED);
  const writeTaken = (entry: number): void => writeOf((field) => numbers[at(entry, field)]!, bytes);
  return {
    isDone,
    open(entry: number, file: number, content: Uint8Array, position: number): void {
      const fields = [
        [FILE, file],
        [OFFSET, content.byteOffset],
        [LENGTH, content.length],
        [LOW, position % HALF],
        [HIGH, Math.floor(position / HALF)],
      ] as const;
      for (const [field, value] of fields) numbers[at(entry, field)] = value;
      Atomics.store(numbers, at(entry, STATE), OPEN);
    },
    /** Writes one that nobody else does; whether it did. Throws what that fails with. */
    write(entry: number): boolean {
      if (!takeLeft(entry)) return false;
      try {
        writeTaken(entry);
      } catch (error) {
        end(entry, DONE);
        throw error;
      }
      end(entry, DONE);
      return true;
    },
    /** As `write`, of one that is open; what it fails with is left to who asked for it. */
    tryToWrite(entry: number): boolean {
      if (!take(entry, OPEN)) return false;
      try {
        writeTaken(entry);
      } catch {
        end(entry, FAILED);
        return true;
      }
      end(entry, DONE);
      return true;
    },
    /** Nobody is to write it; whether nobody does. */
    takeBack(entry: number): boolean {
      if (!takeLeft(entry)) return false;
      end(entry, DONE);
      return true;
    },
  };
}

function writeOf(of: (field: number) => number, bytes: SharedArrayBuffer): void {
  const position = (of(HIGH) >>> 0) * HALF + (of(LOW) >>> 0);
  writeWhole(of(FILE), new Uint8Array(bytes, of(OFFSET), of(LENGTH)), position);
}

/** Bytes that are worth to be written by another. */
const WORTH_SHARING = 64 * 1024;

/** A writer of files that leaves what is large to whoever has time. */
export interface SharedFileWriter extends FileWriter {
  /** Has all written, and closes what is open. Throws what a write fails with. */
  finish(): void;
  /** After a failure: nothing more is written. What is written is closed, and all else is left. */
  abandon(): void;
}

export function createSharedFileWriter(writes: SharedWrites): SharedFileWriter {
  const open: { readonly count: number; readonly close: () => void; readonly leave: () => void }[] = [];
  // The count of writes with the last one of the file that is given now.
  let last = 0;
  const closeWritten = (): void => {
    while (open.length > 0 && open[0]!.count <= writes.done()) open.shift()!.close();
  };
  return {
    write(file, bytes, position) {
      if (bytes.length < WORTH_SHARING || !writes.canShare(bytes)) return writeWhole(file, bytes, position);
      last = writes.add(file, bytes, position);
    },
    end(_, close, leave) {
      closeWritten();
      if (last <= writes.done()) close();
      else open.push({ count: last, close, leave });
      last = 0;
    },
    finish() {
      writes.finish(writes.count());
      closeWritten();
    },
    abandon() {
      // What is taken back counts as done.
      closeWritten();
      writes.abandon();
      for (const { leave } of open.splice(0)) leave();
    },
  };
}
