import { describe, expect, it } from 'vitest';
import { CHUNK_SIZES, createChunker } from '#lib/compression/chunks/chunker.js';
import { CUTTING, CUTTING_RULES, type Cutting } from '#lib/compression/chunks/density.js';
import { createHashPartFinder } from '#lib/compression/chunks/hash-parts.js';
import { viewHash } from '#lib/compression/chunks/view.js';
import { wireTokens } from '#lib/nix/nar/encode.js';
import { noise } from '../../../support/files.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const LIST = ['0123456789abcdfghijklmnpqrsvwxyz', 'abcdfghijklmnpqrsvwxyz0123456789'];
const BEGIN = wireTokens('type', 'regular');

/** Bytes of a chunk where no small file begins, at least. */
const LEAST = CUTTING_RULES[CUTTING].large.at(-1)!.least;

interface Cut {
  readonly size: number;
  readonly view: string;
}

function cut(bytes: Uint8Array, piece = bytes.length, list: readonly string[] = [], cutting: Cutting = CUTTING): Cut[] {
  const chunker = createChunker(createHashPartFinder(list), { cutting });
  const cuts: Cut[] = [];
  const take = (chunks: ReturnType<typeof chunker.end>) => {
    for (const { bytes, positions } of chunks) {
      cuts.push({ size: bytes.length, view: Buffer.from(viewHash(bytes, positions)).toString('hex') });
    }
  };
  for (let at = 0; at < bytes.length; at += piece) take(chunker.push(bytes.subarray(at, at + piece)));
  take(chunker.end());
  return cuts;
}

/** Bytes in which a file begins each `step` bytes from `first` to `end`. */
function tree(size: number, step: number, { first = 0, end = size } = {}): Buffer {
  const bytes = noise(size, 'tree');
  for (let at = first; at + BEGIN.length <= end; at += step) bytes.set(BEGIN, at);
  return bytes;
}

const sizes = (cuts: readonly Cut[]) => cuts.map(({ size }) => size);
const content = tree(6 * MIB, 8 * KIB + 77);
const cuts = cut(content);

describe('chunks of many small files', () => {
  it('are small, the first one less so', () => {
    const [first, ...others] = sizes(cuts);
    others.pop();
    expect(first).toBeGreaterThanOrEqual(CHUNK_SIZES.first);
    expect(first).toBeLessThan(LEAST);
    expect(Math.min(...others)).toBeGreaterThanOrEqual(CHUNK_SIZES.dense);
    expect(others.reduce((sum, size) => sum + size, 0) / others.length).toBeLessThan(160 * KIB);
    expect(sizes(cuts).reduce((sum, size) => sum + size, 0)).toBe(content.length);
  });

  it.each([1_000_003, 65_537, 211])('are cut alike in pieces of %i bytes', (piece) => {
    const part = content.subarray(0, 2 * MIB);
    expect(cut(part, piece)).toEqual(cut(part));
  });

  it.each([1, 5000, 100_000])('stay the same but for a few where %i bytes are inserted', (size) => {
    const middle = 3 * MIB + 12_345;
    const changed = Buffer.concat([content.subarray(0, middle), noise(size, 'more'), content.subarray(middle)]);
    const known = new Set(cuts.map(({ view }) => view));
    const added = cut(changed).filter(({ view }) => !known.has(view));
    expect(sizes(added).reduce((sum, size) => sum + size, 0)).toBeLessThan(size + MIB);
  });

  it('do not depend on what hash parts are in the same places', () => {
    const withParts = (parts: readonly string[]) => {
      const bytes = Buffer.from(content.subarray(0, 3 * MIB));
      // Behind the beginnings of files, and at the ends of windows.
      for (let at = 40; at < bytes.length; at += 56 * KIB) bytes.write(parts[at % 3 ? 0 : 1]!, at, 'latin1');
      for (let at = 64 * KIB - 10; at < bytes.length; at += 128 * KIB) bytes.write(parts[0]!, at, 'latin1');
      return bytes;
    };
    const olds = cut(withParts(LIST), 100_000, LIST);
    const others = LIST.map((part) => part.split('').reverse().join(''));
    expect(olds.length).toBeGreaterThan(8);
    expect(cut(withParts(others), 70_001, others)).toEqual(olds);
  });

  it('begin and end with the small files', () => {
    const [, ...others] = sizes(cut(tree(6 * MIB, 8 * KIB, { first: 2 * MIB, end: 3 * MIB })));
    others.pop();
    expect(others.filter((size) => size < 256 * KIB).length).toBeGreaterThan(3);
    expect(others.filter((size) => size >= 256 * KIB).length).toBeGreaterThan(0);
  });
});

describe('chunks of small files', () => {
  const CHANGED = 0.03;
  it.each([16, 20, 24])(
    'are fetched for files of %i KiB: some 3 % of all where one of a hundred has changed',
    (step) => {
      // Files are seldom as large as windows are: all would begin at the end of one.
      const [, ...others] = sizes(cut(tree(6 * MIB, step * KIB + 123)));
      const size = others.reduce((sum, each) => sum + each ** 2, 0) / others.reduce((sum, each) => sum + each, 0);
      expect(size / (step * KIB) / 100).toBeLessThan(CHANGED + 0.01);
    },
  );

  it.each([8, 40, 150, 300])('of %i KiB are the same but for a few where one is gone', (step) => {
    const bytes = tree(8 * MIB, step * KIB + 123);
    const at = 2 * (step * KIB + 123);
    const without = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + step * KIB + 123)]);
    const known = new Set(cut(bytes).map(({ view }) => view));
    const added = cut(without).filter(({ view }) => !known.has(view));
    expect(sizes(added).reduce((sum, size) => sum + size, 0)).toBeLessThan(MIB + step * KIB);
  });
});

describe('chunks as earlier carports have cut them', () => {
  it.each([2, 3] as const)('are cut so by rule %i where a table tells of them', (cutting) => {
    const [, ...others] = sizes(cut(content, 100_000, [], cutting));
    others.pop();
    expect(Math.min(...others)).toBeGreaterThanOrEqual(CUTTING_RULES[cutting].least);
    expect(others).not.toEqual(sizes(cuts).slice(1, -1));
  });

  it.each([2, 3] as const)('are of 1 MiB and more by rule %i where files are large', (cutting) => {
    expect(Math.min(...sizes(cut(noise(8 * MIB, 'large'), MIB, [], cutting)).slice(0, -1))).toBeGreaterThanOrEqual(MIB);
  });
});

describe('chunks of large files', () => {
  it('are large within a file', () => {
    const sizesOfOne = sizes(cut(tree(12 * MIB, 13 * MIB))).slice(0, -1);
    expect(Math.min(...sizesOfOne)).toBeGreaterThanOrEqual(CUTTING_RULES[CUTTING].large[0].least);
    // Those of the first 4 MiB are smaller.
    expect(Math.min(...sizesOfOne.slice(-6))).toBeGreaterThanOrEqual(LEAST);
    expect(Math.max(...sizesOfOne.slice(0, 5))).toBeLessThan(1.5 * MIB);
  });

  it('end soon behind the beginning of the next file', () => {
    const first = 5 * MIB + 3;
    let at = 0;
    const ends = sizes(cut(tree(7 * MIB, MIB, { first, end: first + 32 }))).map((size) => (at += size));
    expect(ends.find((end) => end > first)).toBeLessThan(first + 32 * KIB);
  });

  it('where the NAR is of one of them at most', () => {
    for (const size of [1, 100 * KIB, CHUNK_SIZES.first]) expect(sizes(cut(content.subarray(0, size)))).toEqual([size]);
  });
});
