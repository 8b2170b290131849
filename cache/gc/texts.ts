/** Short texts as columns, such as keys: their bytes one after the other, and found again by a table. */

import { randomBytes } from 'node:crypto';
import { growing, naturals } from './growing.js';

/** Many texts, each with its number from 0 on. */
export interface Texts {
  readonly length: number;
  /** Adds one, and gives its number. Those that are to be found must be new. */
  add(text: string): number;
  /** Lets all be found. Call it when all are there. */
  index(): void;
  /** The number of one; -1 when it is not there. */
  find(text: string): number;
  at(number: number): string;
}

/** Texts are in blocks, so that growing copies none. A text is in one block. */
const BLOCK = 4 * 1024 * 1024;
const SMALLEST = 512;

/** Whoever chooses texts cannot choose where they go in a table. */
const SEED = randomBytes(4).readUInt32LE();

/** Makes an empty column of texts. */
export function createTexts(): Texts {
  const blocks: Buffer[] = [];
  const [block, start, size] = [growing(naturals), growing(naturals), growing(naturals)];
  let used = 0;
  let table = new Int32Array(0);
  let scratch = Buffer.allocUnsafeSlow(128);
  const part = (number: number) => {
    const from = start.array()[number]!;
    return blocks[block.array()[number]!]!.subarray(from, from + size.array()[number]!);
  };
  const slotOf = (text: Uint8Array) => {
    let mixed = SEED;
    for (let at = 0; at < text.length; at++) mixed = Math.imul(mixed ^ text[at]!, 0x01000193);
    return Math.imul(mixed ^ (mixed >>> 15), 0x9e3779b1) >>> 0;
  };
  return {
    get length() {
      return size.length;
    },
    add(text) {
      const length = Buffer.byteLength(text);
      if (blocks.length === 0 || used + length > blocks.at(-1)!.length) {
        // The first ones are small: many caches are.
        blocks.push(Buffer.allocUnsafeSlow(Math.max(length, Math.min(BLOCK, SMALLEST * 8 ** blocks.length))));
        used = 0;
      }
      blocks.at(-1)!.write(text, used);
      block.push(blocks.length - 1);
      start.push(used);
      size.push(length);
      used += length;
      return size.length - 1;
    },
    index() {
      let slots = 16;
      while (slots < size.length * 2) slots *= 2;
      table = new Int32Array(slots);
      for (let number = 0; number < size.length; number++) {
        let slot = slotOf(part(number)) & (slots - 1);
        while (table[slot] !== 0) slot = (slot + 1) & (slots - 1);
        table[slot] = number + 1;
      }
    },
    find(text) {
      if (table.length === 0) return -1;
      const length = Buffer.byteLength(text);
      if (length > scratch.length) scratch = Buffer.alloc(length * 2);
      scratch.write(text);
      const wanted = scratch.subarray(0, length);
      for (let slot = slotOf(wanted) & (table.length - 1); ; slot = (slot + 1) & (table.length - 1)) {
        const number = table[slot]! - 1;
        if (number < 0) return -1;
        if (size.array()[number] === length && part(number).equals(wanted)) return number;
      }
    },
    at: (number) => part(number).toString(),
  };
}
