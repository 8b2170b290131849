import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { CHUNK_SIZES, createChunker, MOST_HASH_PARTS } from '#lib/compression/chunks/chunker.js';
import { createHashPartFinder } from '#lib/compression/chunks/hash-parts.js';
import { noteReferences } from '#lib/compression/chunks/references.js';
import { rebuildChunk, viewHash } from '#lib/compression/chunks/view.js';
import { noise } from '../../../support/files.js';

const OLD = ['0123456789abcdfghijklmnpqrsvwxyz', 'abcdfghijklmnpqrsvwxyz0123456789', 'z'.repeat(32)];
const NEW = ['1'.repeat(32), '3456789abcdfghijklmnpqrsvwxyz012', 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyz'];

interface Cut {
  readonly bytes: Buffer;
  readonly positions: readonly number[];
  readonly references: readonly number[];
  readonly view: string;
}

function cut(bytes: Uint8Array, list: readonly string[], size = bytes.length): Cut[] {
  const chunker = createChunker(createHashPartFinder(list));
  const cuts: Cut[] = [];
  const take = (chunks: ReturnType<typeof chunker.end>) => {
    for (const { bytes, positions, references } of chunks) {
      const view = Buffer.from(viewHash(bytes, positions)).toString('hex');
      cuts.push({ bytes: Buffer.from(bytes), positions, references, view });
    }
  };
  for (let at = 0; at < bytes.length; at += size) take(chunker.push(bytes.subarray(at, at + size)));
  take(chunker.end());
  return cuts;
}

/** Puts hash parts where they are told to be. */
function withParts(content: Buffer, places: readonly (readonly [at: number, part: string])[]): Buffer {
  const bytes = Buffer.from(content);
  for (const [at, part] of places) bytes.write(part, at, 'latin1');
  return bytes;
}

const content = noise(8 * 1024 * 1024, 'not seeing');
const sizes = (cuts: readonly Cut[]) => cuts.map(({ bytes }) => bytes.length);
const views = (cuts: readonly Cut[]) => cuts.map(({ view }) => view);

describe('chunks of bytes that differ in hash parts only', () => {
  const plain = sizes(cut(content, []));
  /** Where chunks end, and somewhere between. */
  const ends = plain.map((_, index) => plain.slice(0, index + 1).reduce((sum, size) => sum + size));
  const places = [5, 4000, ...ends.slice(0, -1).map((end) => end - 16), ...ends.slice(0, -1).map((end) => end + 32)];
  const old = withParts(
    content,
    places.map((at, index) => [at, OLD[index % 3]!] as const),
  );
  // References of other places and in another order.
  const made = withParts(
    content,
    places.map((at, index) => [at, NEW[(index * index + 1) % 3]!] as const),
  );
  let olds: Cut[];
  let news: Cut[];
  beforeAll(() => {
    olds = cut(old, OLD);
    news = cut(made, NEW);
  });

  it('are cut alike and have the same view hashes', () => {
    expect(sizes(news)).toEqual(sizes(olds));
    expect(views(news)).toEqual(views(olds));
    expect(olds.flatMap(({ references }) => references)).not.toEqual(news.flatMap(({ references }) => references));
    expect(views(cut(made, OLD))).not.toEqual(views(olds));
  });

  it('are the stream, and no hash part is in two of them', () => {
    expect(Buffer.concat(olds.map(({ bytes }) => bytes)).equals(old)).toBe(true);
    expect(olds.flatMap(({ positions }) => positions)).toHaveLength(places.length);
  });

  it.each([1_000_003, 65_536, 211])('are cut alike in pieces of %i bytes', (size) => {
    expect(cut(old, OLD, size).map(({ bytes: _, ...rest }) => rest)).toEqual(olds.map(({ bytes: _, ...rest }) => rest));
  });

  it('become each other', () => {
    const made = olds.map(({ bytes }, index) => {
      const chunk = Buffer.from(bytes);
      expect(rebuildChunk(chunk, createHashPartFinder(OLD), noteReferences(news[index]!.references), NEW)).toBe(true);
      return chunk;
    });
    expect(Buffer.concat(made).equals(Buffer.concat(news.map(({ bytes }) => bytes)))).toBe(true);
  });

  it('have as hash the sha256 of the view and of where the hash parts are', () => {
    const { bytes, positions, view } = olds[0]!;
    expect(positions.length).toBeGreaterThan(1);
    const blank = Buffer.from(bytes);
    for (const at of positions) blank.fill(0, at, at + 32);
    const places = Buffer.alloc(4 * positions.length);
    positions.forEach((at, index) => {
      places.writeUInt32LE(at, 4 * index);
    });
    expect(view).toBe(createHash('sha256').update(blank).update(places).digest('hex'));
  });
});

describe('a hash part', () => {
  it('that changes places with zeros makes another view', () => {
    const zeros = noise(4096, 'zeros').fill(0, 100, 132).fill(0, 1000, 1032);
    const [one] = cut(withParts(zeros, [[100, OLD[0]!]]), OLD);
    for (const at of [1000, 101, 99]) {
      const [moved] = cut(withParts(zeros, [[at, OLD[0]!]]), OLD);
      expect(moved!.references).toEqual(one!.references);
      expect(moved!.view).not.toBe(one!.view);
    }
  });

  it.each([-33, -32, -31, -1, 0, 1])('that begins %i bytes from the largest size is in one chunk', (distance) => {
    const zeros = Buffer.alloc(2 * CHUNK_SIZES.max + 100);
    const at = CHUNK_SIZES.max + distance;
    const cuts = cut(withParts(zeros, [[at, OLD[0]!]]), OLD, 100_000);
    expect(cuts[0]!.bytes).toHaveLength(distance > -32 && distance < 0 ? at : CHUNK_SIZES.max);
    expect(cuts.flatMap(({ references }) => references)).toEqual([0]);
    expect(Math.max(...sizes(cuts))).toBe(CHUNK_SIZES.max);
  });

  it('is not hashed: what is behind it is cut where it would be without', () => {
    const cuts = cut(content, []);
    const end = cuts[0]!.bytes.length;
    // In the midst of the 32 bytes that decide of the cut.
    const inserted = Buffer.concat([content.subarray(0, end - 10), Buffer.from(OLD[0]!), content.subarray(end - 10)]);
    expect(cut(inserted, OLD)[0]!.bytes).toHaveLength(end + 32);
    expect(views(cut(inserted, OLD)).slice(1)).toEqual(views(cuts).slice(1));
  });

  it('too many in a chunk counts as none', () => {
    const parts = (count: number) => Buffer.from(OLD[0]!.repeat(count), 'latin1');
    expect(cut(parts(MOST_HASH_PARTS), OLD)[0]!.positions).toHaveLength(MOST_HASH_PARTS);
    const [chunk] = cut(parts(MOST_HASH_PARTS + 1), OLD);
    expect(chunk).toMatchObject({ positions: [], references: [] });
    expect(chunk!.view).toBe(createHash('sha256').update(chunk!.bytes).digest('hex'));
  });
});

describe('a chunk is not made of another one', () => {
  const chunk = Buffer.from(`a ${OLD[0]} b ${OLD[1]} c ${OLD[0]}`);
  const rebuild = (references: readonly number[], list = NEW) => {
    const bytes = Buffer.from(chunk);
    const isMade = rebuildChunk(bytes, createHashPartFinder(OLD), noteReferences(references), list);
    if (!isMade) expect(bytes.equals(chunk)).toBe(true);
    return isMade && bytes.toString();
  };

  it('but when it has as many hash parts, all of them of the list', () => {
    expect(rebuild([2, 0, 1])).toBe(`a ${NEW[2]} b ${NEW[0]} c ${NEW[1]}`);
    expect(rebuild([2, 0])).toBe(false);
    expect(rebuild([2, 0, 1, 1])).toBe(false);
    expect(rebuild([2, 0, 3])).toBe(false);
    expect(rebuild([0, 0, 0], ['short'])).toBe(false);
  });

  it.each([
    ['nothing', []],
    ['less', [0, 2]],
    ['more', [0, 2, 4, 0]],
    ['a run that is too long', [1, 5]],
    ['a number that does not end', [0, 2, 0x80]],
    ['a number that is longer than it has to be', [0, 2, 0x84, 0]],
    ['a huge number', [0, 2, 0xff, 0xff, 0xff, 0xff, 0x7f]],
  ])('from runs of %s', (_, runs) => {
    const bytes = Buffer.from(chunk);
    const noted = { count: 3, runs: Uint8Array.from(runs) };
    expect(rebuildChunk(bytes, createHashPartFinder(OLD), noted, NEW)).toBe(false);
    expect(bytes.equals(chunk)).toBe(true);
  });
});
