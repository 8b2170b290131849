import { describe, expect, it } from 'vitest';
import { worthListing } from '#cache/push/listings.js';
import type { PathInfo } from '#lib/nix/path-info.js';

const KIB = 1024;

/** Paths of which nothing matters but the size. */
const paths = (...sizes: readonly number[]): readonly PathInfo[] =>
  sizes.map((narSize, at) => ({ path: `/nix/store/${at}`, narSize }) as unknown as PathInfo);

const listed = (upload: readonly PathInfo[], options: { listing: boolean; smallListings?: boolean }): number =>
  upload.filter(worthListing(upload, options)).length;

describe('the listings of a push', () => {
  const few = paths(...Array.from({ length: 64 }, () => 10 * KIB), 300 * KIB);
  const many = paths(...Array.from({ length: 65 }, () => 10 * KIB), 300 * KIB, 256 * KIB);

  it('are there for every path of a few, and for the large ones of many', () => {
    expect(listed(few, { listing: true })).toBe(65);
    expect(listed(many, { listing: true })).toBe(2);
  });

  it('are there for all where that is asked for, and for none where that is', () => {
    expect(listed(many, { listing: true, smallListings: true })).toBe(67);
    expect(listed(few, { listing: false, smallListings: true })).toBe(0);
  });
});
