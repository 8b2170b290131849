/** Hash parts as columns: 20 bytes each, in the order of their texts, and found again by a table. */

import { randomBytes } from 'node:crypto';
import { NIX32_ALPHABET, nix32Value } from '../../lib/nix/base32.js';
import { HASH_PART_LENGTH } from '../../lib/nix/store-path.js';
import { bytes, growing } from './growing.js';

/** Bytes of one. */
export const PACKED = 20;

/** Many hash parts, each with its number from 0 on. */
export interface HashParts {
  readonly length: number;
  /** Adds one, which must be new. `find` knows it after the next `index`. */
  add(hashPart: string): void;
  addPacked(from: Uint8Array, at: number): void;
  /** Lets all be found. Call it when all are there. */
  index(): void;
  /** The number of one; -1 when it is not there. */
  find(hashPart: string): number;
  findPacked(from: Uint8Array, at: number): number;
  /** The text of one. */
  at(number: number): string;
  /** All of them, 20 bytes each, with room after the last. */
  packed(): Uint8Array;
}

/** Writes a hash part as 20 bytes, whose order is that of the texts: eight characters are five bytes. */
export function pack(hashPart: string, into: Uint8Array, at: number): void {
  for (let group = 0; group < 4; group++) {
    let high = 0;
    let low = 0;
    for (let n = 0; n < 4; n++) {
      high = (high << 5) | nix32Value(hashPart.charCodeAt(group * 8 + n));
      low = (low << 5) | nix32Value(hashPart.charCodeAt(group * 8 + 4 + n));
    }
    const to = at + group * 5;
    into[to] = high >> 12;
    into[to + 1] = high >> 4;
    into[to + 2] = (high << 4) | (low >> 16);
    into[to + 3] = low >> 8;
    into[to + 4] = low;
  }
}

/** The text that was packed. */
function unpack(from: Uint8Array, at: number): string {
  let text = '';
  for (let n = 0; n < HASH_PART_LENGTH; n++) {
    const bit = n * 5;
    const index = at + (bit >> 3);
    const pair = (from[index]! << 8) | (index + 1 < at + PACKED ? from[index + 1]! : 0);
    text += NIX32_ALPHABET[(pair >> (11 - (bit & 7))) & 31];
  }
  return text;
}

/** Whoever chooses hash parts cannot choose where they go in a table. */
const SEED = randomBytes(4).readUInt32LE();

/** Makes an empty column of hash parts. */
export function createHashParts(): HashParts {
  const column = growing(bytes);
  const scratch = new Uint8Array(PACKED);
  let table = new Int32Array(0);
  const count = () => column.length / PACKED;
  const slotOf = (from: Uint8Array, at: number): number => {
    let mixed = SEED;
    for (let n = at; n < at + PACKED; n += 4) {
      const word = from[n]! | (from[n + 1]! << 8) | (from[n + 2]! << 16) | (from[n + 3]! << 24);
      mixed = Math.imul(mixed ^ word, 0x9e3779b1);
      mixed ^= mixed >>> 15;
    }
    return mixed & (table.length - 1);
  };
  const findPacked = (from: Uint8Array, at: number): number => {
    if (table.length === 0) return -1;
    const all = column.array();
    for (let slot = slotOf(from, at); ; slot = (slot + 1) & (table.length - 1)) {
      const number = table[slot]! - 1;
      if (number < 0) return -1;
      if (isSame(all, number * PACKED, from, at)) return number;
    }
  };
  return {
    get length() {
      return count();
    },
    add(hashPart) {
      const at = column.extend(PACKED);
      pack(hashPart, column.array(), at);
    },
    addPacked(from, at) {
      const to = column.extend(PACKED);
      column.array().set(from.subarray(at, at + PACKED), to);
    },
    index() {
      let size = 16;
      while (size < count() * 2) size *= 2;
      table = new Int32Array(size);
      const all = column.array();
      for (let number = 0; number < count(); number++) {
        let slot = slotOf(all, number * PACKED);
        while (table[slot] !== 0) slot = (slot + 1) & (size - 1);
        table[slot] = number + 1;
      }
    },
    find(hashPart) {
      pack(hashPart, scratch, 0);
      return findPacked(scratch, 0);
    },
    findPacked,
    at: (number) => unpack(column.array(), number * PACKED),
    packed: () => column.array(),
  };
}

function isSame(a: Uint8Array, atA: number, b: Uint8Array, atB: number): boolean {
  for (let n = 0; n < PACKED; n++) if (a[atA + n] !== b[atB + n]) return false;
  return true;
}
