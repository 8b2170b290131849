import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { decompress } from '#lib/compression/decompress.js';
import { readVerifiedNar } from '#lib/compression/verified-nar.js';
import { hashBytes } from '#lib/nix/hash.js';
import { gather, stream } from '../../support/files.js';
import { describeWithProgram, runOnBytes } from '../../support/programs.js';
import { frameOf } from '../../support/zstd.js';

const MIB = 1024 * 1024;
const ZEROS = Buffer.alloc(64 * MIB);

const copies = (bytes: Buffer, count: number): Buffer => Buffer.concat(Array.from({ length: count }, () => bytes));

/** Small files that explode: to 64 GiB, 64 GiB, 4 GiB and 64 MiB. */
const BOMBS: readonly (readonly [string, () => Buffer])[] = [
  ['zstd', () => copies(frameOf(ZEROS), 1024)],
  ['gzip', () => copies(gzipSync(ZEROS, { level: 1 }), 64)],
  ['br', () => brotliCompressSync(ZEROS, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
];

/** Takes so many bytes at least, then stops; tells of the largest piece, and of the memory that it took. */
async function takeSome(pieces: AsyncIterable<Uint8Array>, wanted: number) {
  const before = process.memoryUsage();
  let [taken, largest, memory] = [0, 0, 0];
  for await (const piece of pieces) {
    taken += piece.length;
    largest = Math.max(largest, piece.length);
    const { arrayBuffers, external } = process.memoryUsage();
    memory = Math.max(memory, arrayBuffers + external - before.arrayBuffers - before.external);
    if (taken >= wanted) break;
  }
  return { taken, largest, memory };
}

function bombTests(name: string, make: () => Buffer): void {
  it('comes in small pieces, made only when they are asked for', async () => {
    const { taken, largest, memory } = await takeSome(decompress(name, stream(make())), 20 * MIB);
    expect(taken).toBeLessThan(21 * MIB);
    expect(largest).toBeLessThanOrEqual(256 * 1024);
    expect(memory).toBeLessThan(48 * MIB);
  });

  it('is stopped at the size that was signed', async () => {
    const narSize = 3 * MIB;
    const promise = { compression: name, narHash: hashBytes('sha256', 'x'), narSize };
    let taken = 0;
    const reading = (async () => {
      for await (const piece of readVerifiedNar(promise, stream(make()))) taken += piece.length;
    })();
    await expect(reading).rejects.toThrow(`larger than the ${narSize} bytes that were signed`);
    expect(taken).toBeLessThanOrEqual(narSize);
  });
}

describe.each(BOMBS)('a bomb in %s', (name, make) => {
  bombTests(name, make);
});

describeWithProgram('xz', 'a bomb in xz', () => {
  bombTests('xz', () => runOnBytes('xz', ['-c', '-0'], ZEROS));
});

describe('a file of frames that hold nothing', () => {
  it('is stopped at its own size', async () => {
    const file = copies(frameOf(Buffer.alloc(0)), 100_000);
    const promise = { compression: 'zstd', narHash: hashBytes('sha256', ''), narSize: 0, fileSize: 1000 };
    await expect(gather(readVerifiedNar(promise, stream(file)))).rejects.toThrow('larger than its 1000 bytes');
  });
});
