/** The decompressor of a large NAR of many frames, which other threads may help with. */

import { copyBytes } from '../buffers.js';
import { type Decompressor, decompressZstd, ZSTD_WINDOW_LOG_MAX } from '../compression/decompress.js';
import { loadedZstd } from '../compression/zstd-binding.js';
import type { ChunkLine, CompressChunk } from './chunk-line.js';
import type { SharedWrites } from './files/shared-writes.js';
import { createLineOutput } from './line-output.js';

/**
 * Gives the bytes of `decompressZstd`, whoever decompresses: frames that say how much they hold, and are small enough, are
 * decompressed beside each other. From the first other one on, this thread does it alone. What is added to `writes` of a piece before
 * the next one is asked for has its bytes until it is done.
 */
export function createLineDecompressor(given: ChunkLine, writes?: SharedWrites): Decompressor {
  return (source) => decompressOnLine(given, writes, source);
}

/** Decompresses a frame; nothing comes of one that is damaged. */
export const decompressFrame: CompressChunk = (frame, _, into) => {
  try {
    return { compressedSize: context.decompress(into, frame), viewHash: NO_HASH };
  } catch {
    return { compressedSize: 0, viewHash: NO_HASH };
  }
};

/** Says what is wrong with a frame of which nothing came. */
function decompressAlone(frame: Uint8Array, size: number): Uint8Array {
  const content = new Uint8Array(size);
  return content.subarray(0, context.decompress(content, frame));
}

const context = new (loadedZstd().DCtx)();
const NO_HASH = new Uint8Array(0);

async function* decompressOnLine(
  given: ChunkLine,
  writes: SharedWrites | undefined,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const line = createLineOutput(given, writes, decompressFrame, decompressAlone);
  const pieces = source[Symbol.asyncIterator]();
  let gathered = line.room();
  let size = 0;
  let isShared = true;
  let rest: Uint8Array = new Uint8Array(0);
  while (isShared) {
    const { value, done } = await pieces.next();
    if (done) break;
    for (rest = value; rest.length > 0; ) {
      const taken = rest.subarray(0, gathered.length - size);
      copyBytes(taken, gathered, size);
      size += taken.length;
      rest = rest.subarray(taken.length);
      let frame = frameOf(gathered.subarray(0, size), given.frameBound);
      while (typeof frame === 'object') {
        const left = gathered.subarray(frame.length, size);
        line.fill(frame.length, frame.contentSize);
        yield* line.takeDone();
        gathered = line.room();
        copyBytes(left, gathered, 0);
        size = left.length;
        frame = frameOf(gathered.subarray(0, size), given.frameBound);
      }
      isShared = frame === 'not whole' && size < gathered.length;
      if (!isShared) break;
    }
  }
  yield* line.takeAll();
  line.end();
  const left = Uint8Array.from(gathered.subarray(0, size));
  // Nothing at all is no frame.
  if (size > 0 || !line.hasTaken()) yield* decompressZstd(continued([left, rest], pieces));
}

async function* continued(first: readonly Uint8Array[], pieces: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (const bytes of first) if (bytes.length > 0) yield bytes;
  for (let next = await pieces.next(); !next.done; next = await pieces.next()) yield next.value;
}

/** Bytes of a frame that is worth a slot. */
const SMALLEST_FRAME = 1024;

interface Frame {
  /** Bytes of it, and of what it holds. */
  readonly length: number;
  readonly contentSize: number;
}

/** The frame that bytes begin with, if it is whole and can be decompressed beside others. */
function frameOf(bytes: Uint8Array, bound: number): Frame | 'not whole' | 'another' {
  // A header has up to 18 bytes.
  if (bytes.length < 18) return 'not whole';
  try {
    const contentSize = loadedZstd().getFrameContentSize(bytes);
    if (contentSize === null || contentSize > bound || windowLogOf(bytes) > ZSTD_WINDOW_LOG_MAX) return 'another';
    const length = loadedZstd().findFrameCompressedSize(bytes);
    // What follows each frame is moved: many small ones would make that their square.
    return length < SMALLEST_FRAME ? 'another' : { length, contentSize };
  } catch (error) {
    return /size is incorrect/.test(String(error)) ? 'not whole' : 'another';
  }
}

const MAGIC = 0xfd2fb528;
const SINGLE_SEGMENT = 0x20;

/** RFC 8878, 3.1.1.1: a frame of a single segment, and a skippable one, has no window of its own. */
function windowLogOf(frame: Uint8Array): number {
  const header = new DataView(frame.buffer, frame.byteOffset);
  if (header.getUint32(0, true) !== MAGIC || (header.getUint8(4) & SINGLE_SEGMENT) !== 0) return 0;
  return 10 + (header.getUint8(5) >> 3);
}
