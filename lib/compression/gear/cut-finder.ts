/** Finds where a stream is cut: a gear hash over the last 32 bytes, in WebAssembly, or where that is missing in JavaScript. */

import { createHash } from 'node:crypto';
import { copyBytes } from '../../buffers.js';
import { gearModule, PLACES } from './module.js';

/** Random-looking numbers that are the same everywhere: chunks of one content must be cut alike on all machines. */
const GEAR = Int32Array.from({ length: 256 }, (_, byte) =>
  createHash('sha256').update(`carport gear ${byte}`).digest().readInt32LE(),
);

/** Bytes that are copied into the module's memory at once: they stay in the cache of a processor. */
const BLOCK_SIZE = 32 * 1024;

/** Of what Node has of it; its types are those of browsers. `--jitless` has none. */
declare const WebAssembly:
  | {
      readonly Module: new (bytes: Uint8Array) => object;
      readonly Instance: new (module: object) => { readonly exports: unknown };
    }
  | undefined;

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  find(at: number, to: number, hash: number, limit: number): number;
}

export interface CutFinder {
  /** Hashes on over these bytes until the hash is below `limit`, which is positive: the offset behind that byte, or -1. */
  find(bytes: Uint8Array, limit: number): number;
  /** Forgets the bytes that were hashed. */
  restart(): void;
}

/** Hashes on over bytes: where the cut is, or -1, and the hash there. */
type Find = (bytes: Uint8Array, hash: number, limit: number) => { readonly cut: number; readonly hash: number };

/** Makes one, which is as fast as can be unless it is told to be `plain`. Both find the same cuts. */
export function createCutFinder({ plain = false } = {}): CutFinder {
  const findOn = plain ? findPlain : findFast();
  let hash = 0;
  return {
    find(bytes, limit) {
      const found = findOn(bytes, hash, limit);
      hash = found.hash;
      return found.cut;
    },
    restart() {
      hash = 0;
    },
  };
}

function findPlain(bytes: Uint8Array, before: number, limit: number): ReturnType<Find> {
  // In a variable of the loop's own: shared with another function it would be written to memory for each byte.
  let hash = before;
  for (let at = 0; at < bytes.length; at++) {
    hash = ((hash << 1) + GEAR[bytes[at]!]!) | 0;
    if (hash >= 0 && hash < limit) return { cut: at + 1, hash };
  }
  return { cut: -1, hash };
}

let fast: Find | undefined;

/** Of this thread: compiled when it is first wanted, which small NARs never do. */
function findFast(): Find {
  fast ??= typeof WebAssembly === 'undefined' ? findPlain : compile(WebAssembly);
  return fast;
}

function compile(wasm: NonNullable<typeof WebAssembly>): Find {
  const exports = new wasm.Instance(new wasm.Module(gearModule())).exports as Exports;
  const memory = exports.memory.buffer;
  new Int32Array(memory, PLACES.gear, GEAR.length).set(GEAR);
  const kept = new Int32Array(memory, PLACES.hash, 1);
  const input = new Uint8Array(memory, PLACES.input, BLOCK_SIZE);
  return (bytes, before, limit) => {
    let hash = before;
    for (let offset = 0; offset < bytes.length; offset += BLOCK_SIZE) {
      const block = bytes.subarray(offset, offset + BLOCK_SIZE);
      copyBytes(block, input, 0);
      const cut = exports.find(PLACES.input, PLACES.input + block.length, hash, limit);
      hash = kept[0]!;
      if (cut > 0) return { cut: offset + cut - PLACES.input, hash };
    }
    return { cut: -1, hash };
  };
}
