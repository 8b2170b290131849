/** Nix's base 32. */

import { formatError } from '../errors.js';

/** Nix's base-32 alphabet: no `e`, `o`, `t`, `u` (libutil/base-nix-32). */
export const NIX32_ALPHABET = '0123456789abcdfghijklmnpqrsvwxyz';

/** Two characters for each ten bits. */
const PAIRS: readonly string[] = Array.from(
  { length: 1024 },
  (_, bits) => NIX32_ALPHABET[bits >> 5]! + NIX32_ALPHABET[bits & 31]!,
);

const VALUES = new Int8Array(256).fill(-1);
for (let value = 0; value < 32; value++) VALUES[NIX32_ALPHABET.charCodeAt(value)] = value;

/** The value of a nix32 character code, or -1 when it is not in the alphabet. */
export function nix32Value(charCode: number): number {
  return VALUES[charCode] ?? -1;
}

/** Characters that `size` bytes take in nix32. */
export function nix32Length(size: number): number {
  return Math.ceil((size * 8) / 5);
}

/** Renders bytes in nix32: groups of five bits, read from the last to the first. */
export function encodeNix32(bytes: Uint8Array): string {
  const length = nix32Length(bytes.length);
  let text = '';
  // Two characters at a time: of thousands of paths each has a handful of hashes.
  for (let n = 0; n < length; n += 2) {
    const bit = n * 5;
    const index = bit >> 3;
    const three = bytes[index]! | ((bytes[index + 1] ?? 0) << 8) | ((bytes[index + 2] ?? 0) << 16);
    text = PAIRS[(three >> (bit & 7)) & 1023]! + text;
  }
  return length % 2 === 0 ? text : text.slice(1);
}

/** Parses nix32; refuses foreign characters, impossible lengths and spare bits that are not zero. */
export function decodeNix32(text: string): Uint8Array {
  const size = Math.floor((text.length * 5) / 8);
  if (nix32Length(size) !== text.length) throw formatError(`nix32 \`${text}\``, `length ${text.length} is impossible`);
  const bytes = new Uint8Array(size);
  for (let n = 0; n < text.length; n++) {
    const value = nix32Value(text.charCodeAt(text.length - 1 - n));
    if (value < 0) throw formatError(`nix32 \`${text}\``, `\`${text[text.length - 1 - n]}\` is not in the alphabet`);
    const bit = n * 5;
    const index = bit >> 3;
    const shifted = value << (bit & 7);
    bytes[index] = (bytes[index] ?? 0) | (shifted & 255);
    if (shifted > 255) {
      if (index + 1 >= size) throw formatError(`nix32 \`${text}\``, 'spare bits are not zero');
      bytes[index + 1] = shifted >> 8;
    }
  }
  return bytes;
}
