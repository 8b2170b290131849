/** Zstd without anything of carport's own: frames of equal pieces. What it makes of bytes stays the same, as names of images depend on it. */

import type { Compressor } from '../../compression/compressor.js';
import { loadedZstd } from '../../compression/zstd-binding.js';

/** Bytes that a frame holds. */
const FRAME = 4 * 1024 * 1024;

/** Compresses into frames of 4 MiB each. The bytes follow from the content, the level and the version of zstd. `loadZstd` comes before. */
export function createZstdFrames(level: number): Compressor {
  const { CCtx, CParameter, compressBound } = loadedZstd();
  const context = new CCtx();
  context.setParameter(CParameter.compressionLevel, level);
  const [held, packed] = [Buffer.allocUnsafe(FRAME), Buffer.allocUnsafe(compressBound(FRAME))];
  let size = 0;
  const frame = (): Uint8Array => {
    const compressed = packed.subarray(0, context.compress2(packed, held.subarray(0, size)));
    size = 0;
    return compressed;
  };
  return {
    *push(bytes) {
      for (let offset = 0; offset < bytes.length; ) {
        const piece = bytes.subarray(offset, offset + FRAME - size);
        held.set(piece, size);
        size += piece.length;
        offset += piece.length;
        if (size === FRAME) yield frame();
      }
    },
    *end() {
      if (size > 0) yield frame();
    },
  };
}
