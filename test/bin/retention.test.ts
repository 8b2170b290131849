import { parse } from 'smol-toml';
import { describe, expect, it } from 'vitest';
import { lineOf } from '#bin/settings/tables/place.js';
import { isKeptTag, parseRetention } from '#bin/settings/tables/retention.js';

const DAY = 86_400_000;

function retentionOf(text: string) {
  return parseRetention({ file: 'carport.toml', text, texts: new Map(), tables: parse(text) }, true);
}

describe('the table [retention]', () => {
  it('says how long things stay', () => {
    const table = retentionOf(
      `[retention]\nstable.forever = true\nextra = { days = 90 }\n[retention.development]\nkeep = 10\nwithin = "12h"\ngrace = "1d"
[retention.cache]\ndays = 14\nmax-size = "1KiB"\nhistory = 0\n[retention.images]\ntags = ["v*", "latest"]\nkeep = 0\n`,
    );
    expect(table).toMatchObject({
      stable: { forever: true, place: 'carport.toml:2' },
      extra: { forever: false, within: 90 * DAY, place: 'carport.toml:3' },
      development: { keep: 10, within: DAY / 2, grace: DAY, place: 'carport.toml:4' },
      cache: { within: 14 * DAY, maxSize: 1024, history: 0 },
      images: { tags: ['v*', 'latest'], keep: 0 },
    });
  });

  it.each([
    ['[retention.stable]\nkeep = 3\n', 'carport.toml:2', 'never removed'],
    ['[retention.stable]\nforever = false\n', 'carport.toml:2', 'not `true`'],
    ['[retention.development]\nforever = true\n\nkeep = 3\n', 'carport.toml:4', '`forever = true` (carport.toml:2)'],
    ['[retention.extra]\ndays = 3\nwithin = "3d"\n', 'carport.toml:3', '(carport.toml:2) say the same thing'],
    ['[retention.extra]\n', 'carport.toml:1', 'says nothing'],
    ['[retention.extra]\ngrace = "1d"\n', 'carport.toml:1', 'does not say which releases stay'],
    ['[retention.extra]\nkeep = -1\n', 'carport.toml:2', 'is not a number from 0'],
    ['[retention.extra]\nkeep = 1.5\n', 'carport.toml:2', 'is not a number from 0'],
    ['[retention.extra]\nkeep = 10000000000000000000000.0\n', 'carport.toml:2', 'is not a number from 0'],
    ['[retention.cache]\nmax-size = 5\n', 'carport.toml:2', 'is not a text'],
    ['[retention.cache]\nmax-size = "big"\n', 'carport.toml:2', 'is no size'],
    ['[retention.cache]\nkeep = 5\n', 'carport.toml:2', 'unknown field `keep`'],
    ['[retention.images]\ntags = ["a b"]\n', 'carport.toml:2', 'no list of tags'],
    ['[retention.dev]\nkeep = 5\n', 'carport.toml:1', 'no tier `dev`'],
    ['retention = 3\n', 'carport.toml:1', 'is no table'],
  ])('refuses %j and names the line', (text, place, why) => {
    expect(() => retentionOf(text)).toThrow(why);
    expect(() => retentionOf(text)).toThrow(place);
  });

  it('finds lines however they are written', () => {
    const text = '# [a]\n[ a ."b" ]\n\'c d\' = 1\n"e" = 2\n[[list]]\nc = 1\n';
    expect(lineOf(text, ['a', 'b', 'c d'])).toBe(3);
    expect(lineOf(text, ['a', 'b', 'e'])).toBe(4);
    expect(lineOf(text, ['a', 'b', 'inline'])).toBe(2);
    expect(lineOf(text, ['none'])).toBeUndefined();
  });

  it('knows tags by patterns, and takes them by the letter', () => {
    const kept = (tag: string, ...tags: string[]) => isKeptTag(tag, { tags });
    expect(kept('v1.0', 'v*')).toBe(true);
    expect(kept('v1x0', 'v1.0')).toBe(false);
    expect(kept('latest', 'v*', 'latest')).toBe(true);
    expect(kept('a-b-c', 'a*b*c')).toBe(true);
    expect(kept('ab', 'ab*b')).toBe(false);
    expect(kept('a'.repeat(128), '*a'.repeat(60))).toBe(true);
    expect(kept(`${'a'.repeat(127)}b`, '*a'.repeat(60))).toBe(false);
  });
});
