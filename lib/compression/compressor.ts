/** What a compressor is; names and levels. */

import type { ToldChunks } from './chunks/field.js';

/** A compressor that runs on the calling thread; use it in a worker. Pieces are valid until the next one is asked for. */
export interface Compressor {
  push(bytes: Uint8Array): Generator<Uint8Array>;
  end(): Generator<Uint8Array>;
  /** What there is to tell of the chunks, when all is written. */
  chunks?(): ToldChunks;
}

/** What `push` can write, and the ending that Nix gives a NAR's URL (`none` has no ending). */
export const WRITABLE_COMPRESSIONS = { zstd: '.zst', xz: '.xz', none: '' } as const;
export type WritableCompression = keyof typeof WRITABLE_COMPRESSIONS;

/** Levels that each compression takes, and the one that is taken when none is given (as Nix does). */
export const COMPRESSION_LEVELS: Readonly<Record<WritableCompression, { min: number; max: number; default: number }>> =
  {
    zstd: { min: 1, max: 19, default: 3 },
    xz: { min: 0, max: 9, default: 6 },
    none: { min: 0, max: 0, default: 0 },
  };

export function isWritableCompression(name: string): name is WritableCompression {
  return Object.hasOwn(WRITABLE_COMPRESSIONS, name);
}

/** Passes bytes through. */
export function createIdentityCompressor(): Compressor {
  return {
    *push(bytes) {
      yield bytes;
    },
    *end() {},
  };
}
