import { describe, expect, it } from 'vitest';
import { changeLists } from '#bin/settings/toml-list.js';

const add = (text: string, ...items: string[]) => changeLists(text, [{ key: 'from', add: items }], 'config.toml');
const remove = (text: string, ...items: string[]) => changeLists(text, [{ key: 'from', remove: items }], 'config.toml');

describe('a list in TOML', () => {
  it.each([
    ['', 'from = ["b"]\n'],
    ['level = 9', 'level = 9\nfrom = ["b"]\n'],
    ['from = []\n', 'from = ["b"]\n'],
    ['from = "a" # mine\n', 'from = ["a", "b"] # mine\n'],
    ["from = ['a']\n", 'from = [\'a\', "b"]\n'],
    ['from = [ "a", ] # x\nlevel = 1\n', 'from = [ "a", "b",] # x\nlevel = 1\n'],
    [
      '# top\nfrom = [\n  "a", # from = ["z"]\n  # last\n]\n# end',
      '# top\nfrom = [\n  "a", # from = ["z"]\n  # last\n  "b",\n]\n# end',
    ],
    ['from = [\n    "a"\n]\n', 'from = [\n    "a",\n    "b",\n]\n'],
    ['title = """\nfrom = ["x"]\n"""\nfrom = ["a"]\n', 'title = """\nfrom = ["x"]\n"""\nfrom = ["a", "b"]\n'],
    ['"from" = ["a # ]"]\n', '"from" = ["a # ]", "b"]\n'],
    ['# only\n[table]\nfrom = ["x"]\n', '# only\nfrom = ["b"]\n\n[table]\nfrom = ["x"]\n'],
    ['from = ["b"] # there\n', 'from = ["b"] # there\n'],
  ])('gets one more: %j', (text, wanted) => {
    expect(add(text, 'b')).toBe(wanted);
  });

  it.each([
    ['from = ["b"]\nlevel = 1\n', 'from = []\nlevel = 1\n'],
    ['from = ["a", "b"] # x\n', 'from = ["a"] # x\n'],
    ['from = ["b", "a"]\n', 'from = ["a"]\n'],
    ['from = ["a", "b", "c"]\n', 'from = ["a", "c"]\n'],
    ['from = [\n  "a", # one\n  "b", # two\n  "c", # three\n]\n', 'from = [\n  "a", # one\n  "c", # three\n]\n'],
    ['from = [\n  "a",\n  "b"\n]\n', 'from = [\n  "a",\n]\n'],
    ['from = "b"\n', 'from = []\n'],
    ['level = 1\n', 'level = 1\n'],
  ])('loses one: %j', (text, wanted) => {
    expect(remove(text, 'b')).toBe(wanted);
  });

  it('is left to people where it is no list, or written in a strange way', () => {
    for (const text of ['from = 1\n', 'from = [1]\n', 'from = {a = 1}\n', 'from = [', 'from.a = "x"\n']) {
      expect(() => add(text, 'b')).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
    }
  });
});
