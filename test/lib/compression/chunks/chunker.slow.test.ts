import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHUNK_SIZES, createChunker } from '#lib/compression/chunks/chunker.js';
import { CUTTING, CUTTING_RULES } from '#lib/compression/chunks/density.js';
import { createHashPartFinder } from '#lib/compression/chunks/hash-parts.js';
import * as arbitrary from '../../../support/arbitraries.js';
import { noise } from '../../../support/files.js';

const MIB = 1024 * 1024;

/** Bytes of a chunk where no small file begins, at least. */
const LEAST = CUTTING_RULES[CUTTING].large[0].least;

/** The chunks of a stream, copied: each is valid until the next only. */
const chunksOf = (...pieces: readonly Uint8Array[]): Buffer[] => chunksFrom(0, ...pieces);

function chunksFrom(from: number, ...pieces: readonly Uint8Array[]): Buffer[] {
  const chunker = createChunker(createHashPartFinder([]), { from });
  const chunks: Buffer[] = [];
  for (const piece of pieces) for (const chunk of chunker.push(piece)) chunks.push(Buffer.from(chunk.bytes));
  for (const chunk of chunker.end()) chunks.push(Buffer.from(chunk.bytes));
  return chunks;
}

const sizesOf = (...pieces: readonly Uint8Array[]): number[] => chunksOf(...pieces).map((chunk) => chunk.length);

const digests = (chunks: readonly Buffer[]): Set<string> =>
  new Set(chunks.map((chunk) => createHash('sha256').update(chunk).digest('hex')));

describe('the chunks of a stream', () => {
  it('together are the stream, and are cut alike however it comes in pieces', () => {
    const content = noise(5 * MIB);
    const whole = sizesOf(content);
    fc.assert(
      fc.property(arbitrary.cuts(), (cuts) => {
        const chunks = chunksOf(...arbitrary.cutsOf(content, cuts));
        expect(Buffer.concat(chunks).equals(content)).toBe(true);
        expect(chunks.map((chunk) => chunk.length)).toEqual(whole);
      }),
      { numRuns: 30 },
    );
  });

  it.each([97, 1000, 64 * 1024 - 1])('are cut alike when it comes in pieces of %i bytes', (size) => {
    const content = noise(3 * MIB);
    const pieces = Array.from({ length: Math.ceil((3 * MIB) / size) }, (_, at) =>
      content.subarray(at * size, (at + 1) * size),
    );
    expect(sizesOf(...pieces)).toEqual(sizesOf(content));
  });

  it('have sizes within their limits, and the mean that is said', () => {
    const sizes = sizesOf(noise(64 * MIB));
    const last = sizes.pop()!;
    expect(Math.min(...sizes)).toBeGreaterThanOrEqual(LEAST);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(CHUNK_SIZES.max);
    expect(last).toBeLessThanOrEqual(CHUNK_SIZES.max);
    const mean = (64 * MIB - last) / sizes.length;
    expect(mean).toBeGreaterThan(800 * 1024);
    expect(mean).toBeLessThan(1000 * 1024);
  });

  it.each([0x00, 0x61, 0xff])('have sizes within their limits where every byte is %i', (byte) => {
    const sizes = sizesOf(Buffer.alloc(8 * MIB, byte)).slice(0, -1);
    expect(sizes.length).toBeGreaterThan(2);
    for (const size of sizes) {
      expect(size).toBeGreaterThanOrEqual(LEAST);
      expect(size).toBeLessThanOrEqual(CHUNK_SIZES.max);
    }
  });

  it('are none for nothing, and one for what is small', () => {
    expect(sizesOf()).toEqual([]);
    expect(sizesOf(new Uint8Array())).toEqual([]);
    expect(sizesOf(Uint8Array.of(1))).toEqual([1]);
    expect(sizesOf(noise(LEAST))).toEqual([LEAST]);
  });

  it.each([1, 32, 100_000])('stay the same but for a few when %i bytes are inserted in the middle', (size) => {
    const content = noise(40 * MIB);
    const middle = 7 * MIB + 12_345;
    const changed = [content.subarray(0, middle), noise(size, 'inserted'), content.subarray(middle)];
    const before = digests(chunksOf(content));
    const added = [...digests(chunksOf(...changed))].filter((digest) => !before.has(digest));
    expect(before.size).toBeGreaterThan(20);
    expect(added.length).toBeGreaterThan(0);
    expect(added.length).toBeLessThanOrEqual(5);
  });

  it('depend on nothing that came before them but where they begin', () => {
    const content = noise(16 * MIB);
    let at = 0;
    for (const size of sizesOf(content).slice(0, 30)) {
      expect(chunksFrom(at, content.subarray(at, at + CHUNK_SIZES.max))[0]).toHaveLength(size);
      at += size;
    }
    const from = sizesOf(content)
      .slice(0, 3)
      .reduce((sum, size) => sum + size);
    expect(chunksFrom(from, content.subarray(from)).map(({ length }) => length)).toEqual(sizesOf(content).slice(3));
  });

  it('stay the same behind bytes that are put in front', () => {
    const content = noise(32 * MIB);
    const before = digests(chunksOf(content));
    const shifted = chunksOf(noise(MIB + 1, 'in front'), content);
    const kept = [...digests(shifted)].filter((digest) => before.has(digest));
    expect(kept.length).toBeGreaterThan(before.size / 2);
  });

  // Caches hold chunks that older versions cut: with other cuts, a pull finds nothing to take over.
  it('of a known content are cut where they always were', () => {
    expect(sizesOf(noise(3 * MIB, 'known'))).toEqual([
      270_935, 521_019, 288_947, 314_087, 429_543, 324_160, 407_997, 262_529, 326_511,
    ]);
  });
});
