/** Columns of numbers that grow: millions of them take as many bytes as they have, and no object each. */

type Numbers = Uint8Array | Int32Array | Uint32Array | Float64Array;

/** A column. `array()` is where it is in memory, with room after its end: not to be kept while more is added. */
export interface Growing<T extends Numbers> {
  readonly length: number;
  push(value: number): void;
  /** Makes room for so many more, and gives where they begin. What is there is 0. */
  extend(count: number): number;
  array(): T;
}

/** Makes an empty column: `growing((length) => new Float64Array(length))`. */
export function growing<T extends Numbers>(make: (length: number) => T): Growing<T> {
  let values = make(16);
  let length = 0;
  const reserve = (count: number) => {
    if (length + count <= values.length) return;
    const larger = make(Math.max(Math.ceil(values.length * (values.length < 65_536 ? 4 : 1.6)), length + count));
    larger.set(values as never);
    values = larger;
  };
  return {
    get length() {
      return length;
    },
    push(value) {
      reserve(1);
      values[length++] = value;
    },
    extend(count) {
      reserve(count);
      length += count;
      return length - count;
    },
    array: () => values,
  };
}

export const bytes = (length: number) => new Uint8Array(length);
export const integers = (length: number) => new Int32Array(length);
export const naturals = (length: number) => new Uint32Array(length);
export const numbers = (length: number) => new Float64Array(length);
