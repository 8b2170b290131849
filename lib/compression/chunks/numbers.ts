/** Numbers below 2^31 as LEB128: seven bits a byte, the lowest first, the highest bit of all but the last one set. */

const MOST_BYTES = 5;

export function writeNumber(into: number[], value: number): void {
  let rest = value;
  for (; rest >= 128; rest >>>= 7) into.push((rest & 0x7f) | 0x80);
  into.push(rest);
}

/** The number at an offset, and where it ends; `undefined` where none is, or it is longer than it has to be. */
export function readNumber(
  bytes: Uint8Array,
  offset: number,
): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  for (let count = 0; count < MOST_BYTES; count++) {
    const byte = bytes[offset + count];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** (7 * count);
    if (byte >= 128) continue;
    const isShortest = byte > 0 || count === 0;
    return isShortest && value < 2 ** 31 ? { value, end: offset + count + 1 } : undefined;
  }
  return undefined;
}
