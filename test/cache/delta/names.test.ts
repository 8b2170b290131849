import { describe, expect, it } from 'vitest';
import { namePaths } from '#cache/delta/names.js';

const path = (letter: string, name: string) => `/nix/store/${letter.repeat(32)}-${name}`;

describe('namePaths', () => {
  it('finds the same name, then other versions of the same output', async () => {
    const paths = [
      path('a', 'glibc-2.39-31'),
      path('b', 'glibc-2.40-66'),
      path('c', 'glibc-2.40-66-bin'),
      path('d', 'glibc-locales-2.40'),
      path('f', 'glibc-2.40-66'),
      path('g', 'gcc-13.2.0-lib'),
    ];
    const named = await namePaths(paths, 10);
    const like = (name: string) => named.like(path('z', name)).map((found) => found[11]);
    expect(like('glibc-2.40-66')).toEqual(['b', 'f', 'a']);
    expect(like('glibc-2.41-1')).toEqual(['a', 'b', 'f']);
    expect(like('glibc-2.41-1-bin')).toEqual(['c']);
    expect(like('gcc-14.1.0-lib')).toEqual(['g']);
    expect(like('gcc-14.1.0')).toEqual([]);
    expect((await namePaths(paths, 2)).like(path('z', 'glibc-2.40-66'))).toHaveLength(2);
  });

  it('lets others have their turn, and looks at no more than some of a whole store of one form', async () => {
    let turns = 0;
    const count = () => {
      turns++;
      turning = setImmediate(count);
    };
    let turning = setImmediate(count);
    const paths = Array.from({ length: 20_000 }, (_, index) => path('a', `source-${index}`));
    const named = await namePaths(paths, 12);
    clearImmediate(turning);
    expect(turns).toBeGreaterThan(10);
    expect(named.like(path('z', 'source-x'))).toEqual([]);
    expect(named.like(path('z', 'source-19999'))).toHaveLength(12);
  });
});
