/** A small NAR of an untrusted file, in one step; what is not as promised is left to `verified-nar.ts`, which says why. */

import { hash } from 'node:crypto';
import { type Hash, toHex } from '../nix/hash.js';
import { ZSTD_WINDOW_LOG_MAX } from './decompress.js';
import { loadZstd } from './zstd-binding.js';

/** NARs up to this size, and files of them; one step of the decompressor gives as much, here as there. */
export const SMALL_NAR = 256 * 1024;

/** What was promised of a small NAR; hashes are sha256 in hexadecimal digits. */
export interface SmallPromise {
  readonly compression: 'zstd' | 'none';
  readonly narHash: string;
  readonly narSize: number;
  readonly fileSize: number;
  readonly fileHash?: string;
}

/** What a narinfo promises of a small NAR; `undefined` where it is not small, or has to be looked at alone. */
export function smallPromise({
  compression,
  narHash,
  narSize,
  fileHash,
  fileSize,
}: {
  readonly compression: string;
  readonly narHash: Hash;
  readonly narSize: number;
  readonly fileHash?: Hash;
  readonly fileSize?: number;
}): SmallPromise | undefined {
  if (narSize > SMALL_NAR || fileSize === undefined || fileSize > SMALL_NAR) return undefined;
  if (compression !== 'zstd' && compression !== 'none') return undefined;
  const promise = { compression, narHash: toHex(narHash.digest), narSize, fileSize } as const;
  if (fileHash === undefined) return promise;
  return fileHash.algorithm === 'sha256' ? { ...promise, fileHash: toHex(fileHash.digest) } : undefined;
}

/** Gives the NAR of a file, in memory that is used again; `undefined` when anything is not as promised. */
export type SmallNarReader = (promise: SmallPromise, file: Buffer) => Buffer | undefined;

/** Loads what reads small NARs. */
export async function createSmallNarReader(): Promise<SmallNarReader> {
  const zstd = await loadZstd();
  const output = Buffer.allocUnsafeSlow(SMALL_NAR);
  const createContext = () => {
    const made = new zstd.DCtx();
    made.setParameter(zstd.DParameter.windowLogMax, ZSTD_WINDOW_LOG_MAX);
    return made;
  };
  let context = createContext();

  /** All frames of a file, or `undefined` when it is not whole, or holds more than it may. */
  const decompress = (file: Buffer, size: number): Buffer | undefined => {
    let [made, taken, atEnd] = [0, 0, false];
    try {
      while (taken < file.length) {
        const [expected, produced, consumed] = context.decompressStream(output.subarray(made), file.subarray(taken));
        if (produced === 0 && consumed === 0) break;
        made += produced;
        taken += consumed;
        atEnd = expected === 0;
      }
    } catch {
      atEnd = false;
    }
    if (atEnd && taken === file.length && made === size) return output.subarray(0, made);
    // It may be in the midst of a frame.
    context = createContext();
    return undefined;
  };

  return ({ compression, narHash, narSize, fileSize, fileHash }, file) => {
    if (file.length !== fileSize || narSize > SMALL_NAR) return undefined;
    if (fileHash !== undefined && hash('sha256', file) !== fileHash) return undefined;
    const nar = compression === 'none' ? file : decompress(file, narSize);
    return nar?.length === narSize && hash('sha256', nar) === narHash ? nar : undefined;
  };
}
