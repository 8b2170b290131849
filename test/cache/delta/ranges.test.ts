import { describe, expect, it } from 'vitest';
import { spend } from '#cache/delta/budget.js';
import { coalesce } from '#cache/delta/ranges.js';

const KIB = 1024;

/** Frames of 100 KiB each: `x` is wanted. */
const framesOf = (wanted: string) =>
  [...wanted].map((mark, index) => ({ offset: index * 100 * KIB, compressedSize: 100 * KIB, isWanted: mark === 'x' }));
const range = (from: number, count: number) => ({ offset: from * 100 * KIB, length: count * 100 * KIB });

describe('coalesce', () => {
  it('gives ranges of what is wanted', () => {
    expect(coalesce(framesOf('.xx..x'), 9, 0)).toEqual([range(1, 2), range(5, 1)]);
    expect(coalesce(framesOf('....'), 9, 0)).toEqual([]);
    expect(coalesce(framesOf('xxxx'), 9, 0)).toEqual([range(0, 4)]);
  });

  it('fetches small gaps along', () => {
    const frames = [
      { offset: 0, compressedSize: 10, isWanted: true },
      { offset: 10, compressedSize: 8 * KIB, isWanted: false },
      { offset: 10 + 8 * KIB, compressedSize: 10, isWanted: true },
    ];
    expect(coalesce(frames, 9, 0)).toEqual([{ offset: 0, length: 20 + 8 * KIB }]);
  });

  it('joins the nearest where there are too many, as long as that costs little', () => {
    expect(coalesce(framesOf('x.x...x..x'), 3, 1000 * KIB)).toEqual([range(0, 3), range(6, 1), range(9, 1)]);
    expect(coalesce(framesOf('x.x...x..x'), 1, 250 * KIB)).toEqual([range(0, 3), range(6, 1), range(9, 1)]);
    expect(coalesce(framesOf('x.x...x..x'), 1, 1000 * KIB)).toEqual([range(0, 10)]);
  });
});

describe('spend', () => {
  const partly = (wanted: string, fileSize = 1_000_000_000) => ({ fileSize, frames: framesOf(wanted) });
  const counts = (all: ReturnType<typeof spend>) => all.map(({ length }) => length);
  it('gives each NAR the ranges that it needs, if there are as many requests', () => {
    expect(counts(spend([partly('x..x', 1000), partly('..x', 1000)], 3))).toEqual([2, 1]);
  });

  it('joins the nearest of all NARs where there are fewer, as far as no more than 2.75 % is fetched then', () => {
    expect(spend([partly('x..x..x..x')], 1)).toEqual([[range(0, 10)]]);
    expect(counts(spend([partly('x....x....x'), partly('x..x..x..x')], 4))).toEqual([3, 1]);
    expect(counts(spend([partly('x..x.....x', 19_000_000)], 2))).toEqual([2]);
    expect(counts(spend([partly('x..x.....x', 18_000_000)], 2))).toEqual([3]);
  });

  it('joins fewer where that does not suffice: bytes count for more', () => {
    expect(counts(spend([partly('x..x..x..x', 1000), partly('x', 1000)], 1))).toEqual([4, 1]);
    // There is room for one gap.
    expect(spend([partly('x.x.x', 16_000_000)], 0)).toEqual([[range(0, 3), range(4, 1)]]);
    expect(spend([partly('x.x.x', 22_000_000)], 0)).toEqual([[range(0, 5)]]);
    // A request is not worth more than 1 MiB, but where none is left over then.
    const far = partly(`x.x${'.'.repeat(11)}x`);
    expect([counts(spend([far], 0)), counts(spend([far], 1))]).toEqual([[2], [1]]);
  });

  it('joins a little also where much has to be fetched', () => {
    const much = `x.${'x'.repeat(40)}`;
    expect(counts(spend([partly(much, 60_000_000)], 1))).toEqual([1]);
    expect(counts(spend([partly(much, 19_000_000)], 1))).toEqual([2]);
    expect(counts(spend([partly(much, 150_000_000)], 1))).toEqual([2]);
  });
});
