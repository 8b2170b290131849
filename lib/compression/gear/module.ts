/**
 * The loop that looks for a cut, as a module of WebAssembly, which is put together here instruction by instruction: three
 * times as fast as the same in JavaScript, which checks each index and each overflow.
 */

/** Where things are in the module's memory, which is one page of 64 KiB: the hash, the table, and the bytes to look at. */
export const PLACES = { hash: 0, gear: 1024, input: 2048 } as const;

/** The instructions that are used, by the names of the text format. */
const [BLOCK, LOOP, IF, END, BR, BR_IF, RETURN] = [0x02, 0x03, 0x04, 0x0b, 0x0c, 0x0d, 0x0f];
const [GET, SET, TEE, CONST, LOAD, LOAD8_U, STORE] = [0x20, 0x21, 0x22, 0x41, 0x28, 0x2d, 0x36];
const [LT_U, GT_U, ADD, SHL] = [0x49, 0x4b, 0x6a, 0x74];
const [I32, NOTHING] = [0x7f, 0x40];

/** The parameters of `find`. */
const [AT, TO, HASH, LIMIT] = [0, 1, 2, 3];

/** Bytes that one turn of the loop looks at. */
const UNROLLED = 8;

/**
 * The module: `memory`, and `find(at, to, hash, limit)`, which hashes on over the bytes in `[at, to)` and gives the place behind
 * the first one where the hash is below `limit`, or 0. The hash that it has then is in memory.
 */
export function gearModule(): Uint8Array<ArrayBuffer> {
  const find = [
    ...number(0), // no more locals
    ...turns(UNROLLED),
    ...turns(1),
    ...keepHash(),
    ...[CONST, ...number(0)],
    END,
  ];
  return Uint8Array.of(
    ...[0x00, ...ascii('asm'), 0x01, 0x00, 0x00, 0x00],
    ...section(1, [0x60, 4, I32, I32, I32, I32, 1, I32]), // types: four numbers in, one out
    ...section(3, [0]), // functions: one, of that type
    ...section(5, [0x01, 1, 1]), // memories: one, of one page
    ...section(7, [...sized(ascii('memory')), 0x02, 0], [...sized(ascii('find')), 0x00, 0]), // exports
    ...section(10, sized(find)), // code
  );
}

/** Goes on by `count` bytes a turn, as long as there are so many. */
function turns(count: number): number[] {
  const step = [GET, AT, CONST, ...number(count), ADD];
  return [
    ...[BLOCK, NOTHING, LOOP, NOTHING],
    ...[...step, GET, TO, GT_U, BR_IF, 1],
    ...Array.from({ length: count }, (_, offset) => hashByte(offset)).flat(),
    ...[...step, SET, AT],
    ...[BR, 0, END, END],
  ];
}

/** hash = (hash << 1) + gear[byte]; where that is below the limit, this is the cut. */
function hashByte(offset: number): number[] {
  return [
    ...[GET, HASH, CONST, ...number(1), SHL],
    ...[GET, AT, LOAD8_U, 0, ...number(offset), CONST, ...number(2), SHL, LOAD, 2, ...unsigned(PLACES.gear)],
    ...[ADD, TEE, HASH, GET, LIMIT, LT_U, IF, NOTHING],
    ...[...keepHash(), GET, AT, CONST, ...number(offset + 1), ADD, RETURN, END],
  ];
}

function keepHash(): number[] {
  return [CONST, ...number(PLACES.hash), GET, HASH, STORE, 2, 0];
}

/** A section of the module, with its entries. */
function section(id: number, ...entries: readonly number[][]): number[] {
  return [id, ...sized([entries.length, ...entries.flat()])];
}

function sized(bytes: readonly number[]): number[] {
  return [...unsigned(bytes.length), ...bytes];
}

function ascii(text: string): number[] {
  return [...Buffer.from(text, 'latin1')];
}

/** LEB128 of a number that is not negative, as a signed one: its last byte has room for the sign. */
function number(value: number): number[] {
  return value < 64 ? [value] : [(value & 0x7f) | 0x80, ...number(value >>> 7)];
}

/** LEB128 of sizes and offsets, which have no sign. */
function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}
