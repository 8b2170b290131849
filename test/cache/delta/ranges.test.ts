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
      { offset: 10, compressedSize: 64 * KIB, isWanted: false },
      { offset: 10 + 64 * KIB, compressedSize: 10, isWanted: true },
    ];
    expect(coalesce(frames, 9, 0)).toEqual([{ offset: 0, length: 20 + 64 * KIB }]);
  });

  it('joins the nearest where there are too many, as long as that costs little', () => {
    expect(coalesce(framesOf('x.x...x..x'), 3, 1000 * KIB)).toEqual([range(0, 3), range(6, 1), range(9, 1)]);
    expect(coalesce(framesOf('x.x...x..x'), 1, 250 * KIB)).toEqual([range(0, 3), range(6, 1), range(9, 1)]);
    expect(coalesce(framesOf('x.x...x..x'), 1, 1000 * KIB)).toEqual([range(0, 10)]);
  });
});

describe('spend', () => {
  const partly = (wanted: string, fileSize = 1_000_000_000) => ({ fileSize, frames: framesOf(wanted) });
  it('gives each NAR the ranges that it needs, if there are as many requests', () => {
    expect(spend([partly('x..x', 1000), partly('..x', 1000)], 3).map(({ length }) => length)).toEqual([2, 1]);
  });

  it('joins ranges where there are fewer, as far as that costs few bytes of the file', () => {
    expect(spend([partly('x..x..x..x')], 1)).toEqual([[range(0, 10)]]);
    expect(spend([partly('x..x..x..x', 1000), partly('x', 1000)], 1).map(({ length }) => length)).toEqual([4, 1]);
    // Half a percent of it is 48 KiB less than a gap for each five that are wished to be joined.
    expect(spend([partly('x.x.x', 22_000_000)], 0)).toEqual([[range(0, 3), range(4, 1)]]);
  });
});
