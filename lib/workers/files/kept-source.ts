/** The bytes of a job's source, which its thread adds to a file as they come. */

import { ftruncateSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { writeWhole } from '../../filesystem/unpack.js';

/** A file that a source is kept in. */
export interface KeptSource {
  /** Opened for appending. */
  readonly file: number;
  /** Bytes of the source that are in it. */
  readonly from: number;
  /** More than so many bytes of the source are not kept. */
  readonly limit: number;
  /** A number that says whether the file may be written to. */
  readonly state: SharedArrayBuffer;
}

const [FREE, WRITING, STOPPED] = [0, 1, 2];

/** So long a write is waited for at most, and looked at so often. */
const MOST_LOOKS = 10_000;
const LOOK_MS = 1;

/** Memory for the state of a file that may be written to. */
export function createKeptState(): SharedArrayBuffer {
  return new SharedArrayBuffer(4);
}

/** Takes the pieces of a source, from its first byte on, and adds what is not there yet. Of a write that fails nothing is left in the file. */
export function createKeeper({ file, from, limit, state }: KeptSource): (bytes: Uint8Array) => void {
  const states = new Int32Array(state);
  let size = 0;
  return (bytes) => {
    const fresh = bytes.subarray(Math.max(0, from - size));
    size += bytes.length;
    if (fresh.length === 0 || size > limit) return;
    if (Atomics.compareExchange(states, 0, FREE!, WRITING!) !== FREE) return;
    try {
      writeWhole(file, fresh);
      Atomics.store(states, 0, FREE!);
    } catch {
      emptyFile(file);
      Atomics.store(states, 0, STOPPED!);
    }
  };
}

function emptyFile(file: number): void {
  try {
    ftruncateSync(file, 0);
  } catch {
    // Whoever has it removes it.
  }
}

/** Nothing more is written to the file once this has ended. Whether all that should be in it is. */
export async function stopKeeping(state: SharedArrayBuffer): Promise<boolean> {
  const states = new Int32Array(state);
  for (let look = 0; look < MOST_LOOKS; look++) {
    const before = Atomics.compareExchange(states, 0, FREE!, STOPPED!);
    if (before !== WRITING) return before === FREE;
    await setTimeout(LOOK_MS);
  }
  return false;
}
