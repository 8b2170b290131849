import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createChunkPlaces } from '#cache/delta/match.js';

const SIZE = 100;
const viewOf = (name: string) => createHash('sha256').update(name).digest();
const chunksOf = (names: readonly string[]) => ({
  cutting: 3 as const,
  sizes: new Uint32Array(names.length).fill(SIZE),
  hashes: Buffer.concat(names.map(viewOf)),
});
const rowOf = (name: string) => ({
  ...{ compressedSize: 1, size: SIZE, viewHash: viewOf(name) },
  references: { count: 0, runs: new Uint8Array() },
});

/** Where each chunk is taken from, counted in chunks of all trees. */
function taken(wanted: readonly string[], ...trees: readonly (readonly string[])[]) {
  const places = createChunkPlaces();
  trees.forEach((names, tree) => {
    places.add(tree, chunksOf(names));
  });
  return places.partsOf(wanted.map(rowOf)).map(({ from }) => from && [from.tree, from.offset / SIZE]);
}

describe('chunks that are here', () => {
  it('are taken from where they come next', () => {
    expect(taken(['a', 'x', 'b', 'c'], ['a', 'b', 'a', 'c'])).toEqual([[0, 0], undefined, [0, 1], [0, 3]]);
    expect(taken(['a', 'b', 'c'], ['a', 'c'], ['c', 'b'])).toEqual([
      [0, 0],
      [1, 1],
      [0, 1],
    ]);
  });

  it('are all taken where a tree has the same many times', () => {
    const names = Array.from({ length: 300 }, (_, index) => (index % 3 ? `${index}` : 'same'));
    expect(taken(names, names)).toEqual(names.map((_, index) => [0, index]));
  });

  it('are not looked for over and over where they are many', () => {
    const zeros = new Array<string>(40_000).fill('zero');
    expect(taken(zeros, zeros).at(-1)).toEqual([0, zeros.length - 1]);
  });

  it('are gone back for some times only', () => {
    const wanted = Array.from({ length: 40 }, () => ['b', 'a']).flat();
    expect(taken(wanted, ['a', 'b']).filter((place) => place === undefined).length).toBeGreaterThan(40);
    expect(taken(wanted.slice(0, 20), ['a', 'b'])).not.toContain(undefined);
  });
});
