/** zstd, loaded when something is compressed or read: its native module, or where that is missing, WebAssembly. */

import { createRequire } from 'node:module';
import { isErrno } from '../errors.js';

/** What carport uses of zstd, as the package `zstd-napi` has it. Wrong bytes are errors with zstd's own words. */
export interface Zstd {
  readonly CParameter: { readonly compressionLevel: number; readonly minMatch: number };
  readonly DParameter: { readonly windowLogMax: number };
  readonly CCtx: new () => CompressionContext;
  readonly DCtx: new () => DecompressionContext;
  /** Bytes that a frame of so many bytes may take. */
  compressBound(size: number): number;
  versionString(): string;
  /** Bytes that a frame holds; `null` where it does not say. */
  getFrameContentSize(bytes: Uint8Array): number | null;
  /** Bytes of the frame that these begin with. */
  findFrameCompressedSize(bytes: Uint8Array): number;
}

export interface CompressionContext {
  setParameter(parameter: number, value: number): void;
  /** Makes one frame, and gives its size. */
  compress2(into: Uint8Array, bytes: Uint8Array): number;
}

export interface DecompressionContext {
  setParameter(parameter: number, value: number): void;
  /** Reads whole frames, and gives the size of what they hold. */
  decompress(into: Uint8Array, bytes: Uint8Array): number;
  /** Bytes that it would like to have next, 0 at the end of a frame; bytes made; bytes taken, which may be a part. */
  decompressStream(into: Uint8Array, bytes: Uint8Array): readonly [number, number, number];
}

let loaded: Zstd | undefined;

/** Loads zstd. Its native module is built or fetched by a script of its package, which npm does not run everywhere. */
export async function loadZstd(): Promise<Zstd> {
  if (loaded) return loaded;
  try {
    loaded = (await import('zstd-napi/binding.js')).default as unknown as Zstd;
  } catch (error) {
    if (!isErrno(error, 'MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND', 'ERR_DLOPEN_FAILED')) throw error;
  }
  loaded ??= (await import('./zstd-wasm.js')).createWasmZstd();
  return loaded;
}

/** What `loadZstd` has loaded; where nobody has called it, the native module. */
export function loadedZstd(): Zstd {
  loaded ??= createRequire(import.meta.url)('zstd-napi/binding.js') as Zstd;
  return loaded;
}
