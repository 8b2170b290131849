import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import zstd from 'zstd-napi/binding.js';
import { CarportError } from '#lib/errors.js';
import { hashBytes, hashesEqual } from '#lib/nix/hash.js';
import { createChunkLine } from '#lib/workers/chunk-line.js';
import { createLineDecompressor } from '#lib/workers/line-decompressor.js';
import type { WorkerPool } from '#lib/workers/pool.js';
import { fileOf, noise, stream, useDirectory } from '../../support/files.js';
import { naiveNar } from '../../support/nar.js';
import { usePool } from '../../support/pool.js';
import { frameOf, frameWithWindow, skippableFrame } from '../../support/zstd.js';

const directory = useDirectory();
const [alone, together] = [usePool(1), usePool(2)];

/** As large a job as threads share. */
const WEIGHT = 64 * 1024 * 1024;

const NAR = naiveNar(fileOf(Buffer.concat([noise(2_000_000), Buffer.alloc(1_500_000, 'text '), noise(1_000_001)])));

function cut(size: number): Buffer[] {
  return Array.from({ length: Math.ceil(NAR.length / size) }, (_, index) =>
    NAR.subarray(index * size, (index + 1) * size),
  );
}

/** A frame that does not say how much it holds. */
function frameWithoutSize(content: Uint8Array): Buffer {
  const context = new zstd.CCtx();
  const frame = Buffer.alloc(zstd.compressBound(content.length) + 100);
  const [, first] = context.compressStream2(frame, content, zstd.EndDirective.flush);
  const [, rest] = context.compressStream2(frame.subarray(first), Buffer.alloc(0), zstd.EndDirective.end);
  return frame.subarray(0, first + rest);
}

/** What came of it: the hash of the tree, or what is said against it. */
async function unpack(pool: WorkerPool, file: Buffer, pieceSize: number): Promise<unknown> {
  const destination = join(directory(), `${pool.size}-${pieceSize}`);
  const promise = { compression: 'zstd', narHash: hashBytes('sha256', NAR), narSize: NAR.length };
  try {
    const source = stream(file, pieceSize);
    const result = await pool.run({ type: 'unpack', destination, promise }, { source, weight: WEIGHT });
    const { narHash } = await pool.run({ type: 'hash', path: destination });
    return { ...result, isWhole: hashesEqual(narHash, promise.narHash) };
  } catch (error) {
    if (!(error instanceof CarportError)) throw error;
    return { code: error.code, message: error.message };
  }
}

const frames = cut(300_000).map(frameOf);
const [first, second, third, ...others] = cut(300_000);
const whole: [string, readonly Buffer[]][] = [
  ['many frames', frames],
  ['small frames', cut(3000).map(frameOf)],
  ['one frame', [frameOf(NAR)]],
  ['frames as large as may be shared', cut(1024 * 1024).map(frameOf)],
  ['frames that say nothing of their size', cut(300_000).map(frameWithoutSize)],
  [
    'one of them that says nothing of its size',
    [frameOf(first!), frameWithoutSize(second!), ...[third!, ...others].map(frameOf)],
  ],
  [
    'frames that are skipped, and empty ones',
    frames.flatMap((frame) => [skippableFrame(noise(100)), frame, frameOf(Buffer.alloc(0))]),
  ],
];

describe('a NAR that threads decompress together', () => {
  it.each(whole)('is what one thread makes of it: %s', async (_, file) => {
    const bytes = Buffer.concat(file);
    const expected = { fileSize: bytes.length, isWhole: true };
    for (const pieceSize of [5000, 70_000, 10_000_000])
      expect(await unpack(together, bytes, pieceSize)).toEqual(expected);
  });

  it.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['the end is missing', Buffer.concat(frames).subarray(0, -1)],
    ['a frame is missing', Buffer.concat(frames.slice(1))],
    ['a frame is there twice', Buffer.concat([frames[0]!, ...frames])],
    ['a byte is another', Buffer.concat(frames).fill(0xee, 500_000, 500_050)],
    ['something else comes after the frames', Buffer.concat([...frames, noise(5000)])],
    ['a frame with a large window', Buffer.concat([frames[0]!, frameWithWindow(0xff), ...frames.slice(1)])],
    ['no zstd', noise(100_000)],
  ])('is refused as by one thread: %s', async (_, file) => {
    const expected = await unpack(alone, file, 50_000);
    expect(expected).toHaveProperty('code');
    expect(await unpack(together, file, 50_000)).toEqual(expected);
  });

  it('is shared to its end, also where a chunk cannot be made smaller', async () => {
    const chunk = 1024 * 1024;
    const chunks = Array.from({ length: 6 }, (_, index) => noise(chunk, `${index}`));
    const shared = createChunkLine(4, zstd.compressBound(chunk));
    const source = stream(Buffer.concat(chunks.map(frameOf)), 256 * 1024);
    let size = 0;
    for await (const bytes of createLineDecompressor(shared)(source)) size += bytes.length;
    expect(size).toBe(chunks.length * chunk);
    // How many slots were done.
    expect(new Int32Array(shared.memory)[1]).toBe(chunks.length);
  });
});
