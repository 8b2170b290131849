/** zstd as WebAssembly: where its native module is not, and with the same results. It takes about twice as long. */

import { gunzipSync } from 'node:zlib';
import type { Zstd } from './zstd-binding.js';
import { ZSTD_WASM } from './zstd-wasm-bytes.js';

/** Of what Node has of it; its types are those of browsers. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
};

/** What the module exports; pointers and sizes are 32 bits. */
interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  _initialize(): void;
  malloc(size: number): number;
  free(pointer: number): void;
  ZSTD_createCCtx(): number;
  ZSTD_freeCCtx(context: number): number;
  ZSTD_CCtx_setParameter(context: number, parameter: number, value: number): number;
  ZSTD_compress2(context: number, to: number, room: number, from: number, size: number): number;
  ZSTD_createDCtx(): number;
  ZSTD_freeDCtx(context: number): number;
  ZSTD_DCtx_setParameter(context: number, parameter: number, value: number): number;
  ZSTD_decompressDCtx(context: number, to: number, room: number, from: number, size: number): number;
  ZSTD_decompressStream(context: number, output: number, input: number): number;
  ZSTD_isError(result: number): number;
  ZSTD_getErrorName(result: number): number;
  ZSTD_compressBound(size: number): number;
  ZSTD_versionString(): number;
  ZSTD_getFrameContentSize(from: number, size: number): bigint;
  ZSTD_findFrameCompressedSize(from: number, size: number): number;
}

/** Bytes that one step of decompression takes at most: they are copied. */
const INPUT_SIZE = 256 * 1024;

/** Makes an instance, with memory of its own. */
export function createWasmZstd(): Zstd {
  const module = new WebAssembly.Module(gunzipSync(Buffer.from(ZSTD_WASM, 'base64')));
  const imports = { wasi_snapshot_preview1: { random_get: () => 0 } };
  const zstd = new WebAssembly.Instance(module, imports).exports as unknown as Exports;
  zstd._initialize();
  const memory = createMemory(zstd);
  const check = (result: number): number => {
    if (zstd.ZSTD_isError(result >>> 0)) throw new Error(memory.text(zstd.ZSTD_getErrorName(result)));
    return result >>> 0;
  };
  return {
    CParameter: { compressionLevel: 100, minMatch: 105 },
    DParameter: { windowLogMax: 100 },
    CCtx: compressionContext(zstd, memory, check),
    DCtx: decompressionContext(zstd, memory, check),
    compressBound: (size) => zstd.ZSTD_compressBound(size) >>> 0,
    versionString: () => memory.text(zstd.ZSTD_versionString()),
    getFrameContentSize(bytes) {
      const size = zstd.ZSTD_getFrameContentSize(memory.give('input', bytes), bytes.length);
      // -1: it does not say; -2: it is no frame.
      if (size === -2n || size === 0xfffffffffffffffen) throw new Error('Could not parse Zstandard header');
      return size === -1n || size === 0xffffffffffffffffn ? null : Number(size);
    },
    findFrameCompressedSize: (bytes) =>
      check(zstd.ZSTD_findFrameCompressedSize(memory.give('input', bytes), bytes.length)),
  };
}

type Memory = ReturnType<typeof createMemory>;
type Check = (result: number) => number;

/** Two places in the module's memory, which grow as they have to, and what is copied there and back. */
function createMemory(zstd: Exports) {
  const places = { input: { pointer: 0, size: 0 }, output: { pointer: 0, size: 0 } };
  // The buffer is another one when the memory has grown.
  const bytesAt = (pointer: number, size: number) => new Uint8Array(zstd.memory.buffer, pointer, size);
  const room = (name: keyof typeof places, size: number): number => {
    const place = places[name];
    if (place.pointer !== 0 && place.size >= size) return place.pointer;
    if (place.pointer !== 0) zstd.free(place.pointer);
    const pointer = zstd.malloc(Math.max(size, 1)) >>> 0;
    places[name] = { pointer, size: pointer === 0 ? 0 : size };
    if (pointer === 0) throw new Error('Allocation error : not enough memory');
    return pointer;
  };
  return {
    room,
    bytesAt,
    give(name: keyof typeof places, bytes: Uint8Array): number {
      const pointer = room(name, bytes.length);
      bytesAt(pointer, bytes.length).set(bytes);
      return pointer;
    },
    text(pointer: number): string {
      const rest = new Uint8Array(zstd.memory.buffer, pointer >>> 0);
      return Buffer.from(rest.subarray(0, rest.indexOf(0))).toString('latin1');
    },
  };
}

function compressionContext(zstd: Exports, memory: Memory, check: Check): Zstd['CCtx'] {
  const unused = new FinalizationRegistry<number>((pointer) => zstd.ZSTD_freeCCtx(pointer));
  return class {
    readonly #pointer = zstd.ZSTD_createCCtx();
    constructor() {
      if (this.#pointer === 0) throw new Error('Allocation error : not enough memory');
      unused.register(this, this.#pointer);
    }
    setParameter(parameter: number, value: number): void {
      check(zstd.ZSTD_CCtx_setParameter(this.#pointer, parameter, value));
    }
    compress2(into: Uint8Array, bytes: Uint8Array): number {
      const from = memory.give('input', bytes);
      const to = memory.room('output', into.length);
      const made = check(zstd.ZSTD_compress2(this.#pointer, to, into.length, from, bytes.length));
      into.set(memory.bytesAt(to, made));
      return made;
    }
  };
}

/** `ZSTD_outBuffer` and `ZSTD_inBuffer`: pointer, size, position. */
const BUFFER_SIZE = 12;

function decompressionContext(zstd: Exports, memory: Memory, check: Check): Zstd['DCtx'] {
  const unused = new FinalizationRegistry<number>((pointer) => zstd.ZSTD_freeDCtx(pointer));
  const buffers = zstd.malloc(2 * BUFFER_SIZE) >>> 0;
  return class {
    readonly #pointer = zstd.ZSTD_createDCtx();
    constructor() {
      if (this.#pointer === 0) throw new Error('Allocation error : not enough memory');
      unused.register(this, this.#pointer);
    }
    setParameter(parameter: number, value: number): void {
      check(zstd.ZSTD_DCtx_setParameter(this.#pointer, parameter, value));
    }
    decompress(into: Uint8Array, bytes: Uint8Array): number {
      const from = memory.give('input', bytes);
      const to = memory.room('output', into.length);
      const made = check(zstd.ZSTD_decompressDCtx(this.#pointer, to, into.length, from, bytes.length));
      into.set(memory.bytesAt(to, made));
      return made;
    }
    decompressStream(into: Uint8Array, bytes: Uint8Array): [number, number, number] {
      const some = bytes.subarray(0, INPUT_SIZE);
      const from = memory.give('input', some);
      const to = memory.room('output', into.length);
      new Uint32Array(zstd.memory.buffer, buffers, 6).set([to, into.length, 0, from, some.length, 0]);
      const expected = check(zstd.ZSTD_decompressStream(this.#pointer, buffers, buffers + BUFFER_SIZE));
      const after = new Uint32Array(zstd.memory.buffer, buffers, 6);
      const [made, taken] = [after[2]!, after[5]!];
      into.set(memory.bytesAt(to, made));
      return [expected, made, taken];
    }
  };
}
