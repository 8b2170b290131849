/** Nix's base 32. */

import { formatError } from '../errors.js';

/** Nix's base-32 alphabet: no `e`, `o`, `t`, `u` (libutil/base-nix-32). */
export const NIX32_ALPHABET = '0123456789abcdfghijklmnpqrsvwxyz';

const VALUES = new Int8Array(256).fill(-1);
for (let value = 0; value < 32; value++) VALUES[NIX32_ALPHABET.charCodeAt(value)] = value;

/** The codes of two characters for each ten bits, the first of them in the low byte. */
const PAIRS = new Uint16Array(1 << 10);
/** Ten bits for the codes of two characters, seven bits each; -1 where one is not in the alphabet. */
const PAIR_VALUES = new Int16Array(1 << 14).fill(-1);
// Every process makes them: a function for each of 16,384 would take longer than many a command has to do.
for (let bits = 0; bits < 1 << 10; bits++) {
  const first = NIX32_ALPHABET.charCodeAt(bits >> 5);
  const second = NIX32_ALPHABET.charCodeAt(bits & 31);
  PAIRS[bits] = first | (second << 8);
  PAIR_VALUES[(first << 7) | second] = bits;
}

/** The value of a nix32 character code, or -1 when it is not in the alphabet. */
export function nix32Value(charCode: number): number {
  return VALUES[charCode] ?? -1;
}

/** Characters that `size` bytes take in nix32. */
export function nix32Length(size: number): number {
  return Math.ceil((size * 8) / 5);
}

/** Room for the text of the longest hash, a sha512. */
const room = Buffer.alloc(104);

/** Renders bytes in nix32: groups of five bits, read from the last to the first. */
export function encodeNix32(bytes: Uint8Array): string {
  const length = nix32Length(bytes.length);
  // Two characters at a time, from the last on: of thousands of paths each has a handful of hashes.
  let at = length + (length % 2);
  const end = at;
  const text = end <= room.length ? room : Buffer.alloc(end);
  let [bits, count] = [0, 0];
  for (let index = 0; at > 0; index++) {
    bits |= (bytes[index] ?? 0) << count;
    count += 8;
    if (count < 10) continue;
    at -= 2;
    const pair = PAIRS[bits & 1023]!;
    text[at] = pair & 255;
    text[at + 1] = pair >> 8;
    bits >>>= 10;
    count -= 10;
  }
  return text.toString('latin1', length % 2, end);
}

/** Parses nix32; refuses foreign characters, impossible lengths and spare bits that are not zero. */
export function decodeNix32(text: string): Uint8Array {
  const size = Math.floor((text.length * 5) / 8);
  if (nix32Length(size) !== text.length) throw formatError(`nix32 \`${text}\``, `length ${text.length} is impossible`);
  const bytes = new Uint8Array(size);
  let [index, bits, count] = [0, 0, 0];
  for (let at = text.length - 2; at > -2; at -= 2) {
    // Before an odd number of characters a zero, which is no bits.
    const [first, second] = [at < 0 ? ZERO : text.charCodeAt(at), text.charCodeAt(at + 1)];
    const value = (first | second) < 128 ? PAIR_VALUES[(first << 7) | second]! : -1;
    if (value < 0) throw formatError(`nix32 \`${text}\``, `\`${foreignIn(text)}\` is not in the alphabet`);
    bits |= value << count;
    for (count += 10; count >= 8 && index < size; count -= 8) {
      bytes[index++] = bits & 255;
      bits >>>= 8;
    }
  }
  if (bits !== 0) throw formatError(`nix32 \`${text}\``, 'spare bits are not zero');
  return bytes;
}

const ZERO = NIX32_ALPHABET.charCodeAt(0);

/** The last character that is not in the alphabet. */
function foreignIn(text: string): string | undefined {
  return [...text].findLast((character) => nix32Value(character.charCodeAt(0)) < 0);
}
