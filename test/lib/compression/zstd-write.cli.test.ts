import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import zstd from 'zstd-napi';
import { type Chunk, createChunker } from '#lib/compression/chunks/chunker.js';
import { createHashPartFinder } from '#lib/compression/chunks/hash-parts.js';
import { createZstdCompressor } from '#lib/compression/zstd-write.js';
import * as arbitrary from '../../support/arbitraries.js';
import { noise, useDirectory } from '../../support/files.js';
import { describeWithProgram, runOnBytes } from '../../support/programs.js';
import { readTables } from '../../support/zstd.js';

const MIB = 1024 * 1024;
const none = createHashPartFinder([]);

function compress(pieces: readonly Uint8Array[], level = 3): Buffer {
  const compressor = createZstdCompressor(level, none);
  const written: Buffer[] = [];
  for (const piece of pieces) for (const bytes of compressor.push(piece)) written.push(Buffer.from(bytes));
  for (const bytes of compressor.end()) written.push(Buffer.from(bytes));
  return Buffer.concat(written);
}

function chunksOf(content: Uint8Array): Buffer[] {
  const chunker = createChunker(none);
  return [...copies(chunker.push(content)), ...copies(chunker.end())];
}

function* copies(chunks: Iterable<Chunk>): Generator<Buffer> {
  for (const { bytes } of chunks) yield Buffer.from(bytes);
}

/** Half of it compresses, half does not. */
function content(size: number): Buffer {
  const bytes = noise(size);
  for (let at = 0; at < size; at += 2048) bytes.fill(at >> 11, at, Math.min(at + 1024, size));
  return bytes;
}

const SIZES = [
  ['nothing', 0],
  ['one byte', 1],
  ['a mebibyte', MIB],
  ['ten mebibytes', 10 * MIB],
] as const;

describe('a NAR object in zstd', () => {
  it.each(SIZES)('of %s tells of its frames: where, how long, and what they hold', (_, size) => {
    const bytes = content(size);
    const file = compress([bytes]);
    const { chunks, seek, dataSize } = readTables(file);
    const expected = chunksOf(bytes);
    expect(chunks.map((chunk) => chunk.size)).toEqual(expected.map((chunk) => chunk.length));
    expect(seek).toEqual(chunks.map(({ viewHash: _, references: _none, ...frame }) => frame));
    expect(chunks.reduce((sum, { compressedSize }) => sum + compressedSize, 0)).toBe(dataSize);
    chunks.forEach(({ offset, compressedSize, viewHash }, index) => {
      const chunk = zstd.decompress(file.subarray(offset, offset + compressedSize));
      expect(chunk.equals(expected[index]!)).toBe(true);
      expect(createHash('sha256').update(chunk).digest('hex')).toBe(viewHash);
    });
  });

  it('has the same bytes however its content comes in pieces', () => {
    const bytes = content(2 * MIB);
    const file = compress([bytes]);
    fc.assert(
      fc.property(arbitrary.cuts(), (cuts) => {
        expect(compress(arbitrary.cutsOf(bytes, cuts)).equals(file)).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  it('has the same bytes after other objects, finished or not, were written', () => {
    const bytes = content(MIB);
    const file = compress([bytes]);
    compress([noise(300_000, 'other')], 9);
    for (const _ of createZstdCompressor(3, none).push(noise(2 * MIB, 'left in the middle')));
    expect(compress([bytes]).equals(file)).toBe(true);
  });

  it('may be written at the same time as another', () => {
    const contents = [content(MIB), noise(MIB, 'other')];
    const compressors = contents.map(() => createZstdCompressor(3, none));
    const written = contents.map(() => [] as Buffer[]);
    for (let at = 0; at < MIB; at += 50_000) {
      compressors.forEach((compressor, index) => {
        const piece = contents[index]!.subarray(at, at + 50_000);
        for (const bytes of compressor.push(piece)) written[index]!.push(Buffer.from(bytes));
      });
    }
    compressors.forEach((compressor, index) => {
      for (const bytes of compressor.end()) written[index]!.push(Buffer.from(bytes));
      expect(Buffer.concat(written[index]!).equals(compress([contents[index]!]))).toBe(true);
    });
  });

  it('of a higher level is smaller, and has the same chunks', () => {
    const text = Buffer.from(Array.from({ length: 60_000 }, (_, line) => `${line * line} lines\n`).join(''));
    const [fast, small] = [compress([text], 1), compress([text], 19)];
    expect(small.length).toBeLessThan(fast.length);
    const hashes = (file: Buffer) => readTables(file).chunks.map(({ viewHash }) => viewHash);
    expect(hashes(small)).toEqual(hashes(fast));
  });
});

describeWithProgram('zstd', 'the program zstd', () => {
  const directory = useDirectory();

  it.each(SIZES)('reads a NAR object of %s', (_, size) => {
    const bytes = content(size);
    expect(runOnBytes('zstd', ['-d', '-c'], compress([bytes])).equals(bytes)).toBe(true);
  });

  it.each(SIZES)('counts the frames of a NAR object of %s', (_, size) => {
    const file = compress([content(size)]);
    const path = join(directory(), 'object.zst');
    writeFileSync(path, file);
    const told = runOnBytes('zstd', ['-l', '-v', path]).toString();
    const { chunks } = readTables(file);
    expect(told).toMatch(new RegExp(`# Zstandard Frames: ${chunks.length}\\n`));
    expect(told).toMatch(/# Skippable Frames: 2\n/);
    expect(told).toMatch(new RegExp(`^Decompressed Size:.*\\(${size} B\\)`, 'm'));
  });
});
