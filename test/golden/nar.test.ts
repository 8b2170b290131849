import { describe, expect, it } from 'vitest';
import { createNarDecoder } from '#lib/nix/nar/decode.js';
import { encodeNar } from '#lib/nix/nar/encode.js';
import { goldenBytes, goldenFiles } from '../support/golden.js';
import { eventsOf, latin1, type Tree, treeOf } from '../support/nar.js';

const NARS = goldenFiles('nar', '.nar').map((name) => name.slice(0, -'.nar'.length));

function decode(name: string): Tree {
  const decoder = createNarDecoder();
  const tree = treeOf(decoder.push(goldenBytes('nar', `${name}.nar`)));
  decoder.end();
  return tree;
}

function encode(tree: Tree): Buffer {
  const pieces: Buffer[] = [];
  for (const piece of encodeNar(eventsOf(tree))) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

function file(contents: string, executable = false): Tree {
  return { type: 'regular', executable, contents: new Uint8Array(latin1(contents)) };
}

function directory(entries: Readonly<Record<string, Tree>>): Tree {
  return { type: 'directory', entries: new Map(Object.entries(entries)) };
}

function link(target: string): Tree {
  return { type: 'symlink', target };
}

const utf8 = (text: string) => Buffer.from(text).toString('latin1');

/** The trees that generate.sh made, without the names that only matter for their order. */
const TREES: Readonly<Record<string, Tree>> = {
  'empty-file': file(''),
  'empty-directory': directory({}),
  executable: file('#!/bin/sh\n', true),
  symlink: link('some/where'),
  'dangling-symlink': link('../../does/not/exist'),
  nested: directory({
    a: directory({ b: directory({ c: directory({ d: directory({ file: file('deep') }) }) }) }),
    bin: directory({ link: link('../a/b'), tool: file('tool', true) }),
  }),
  padding: directory(Object.fromEntries([0, 1, 6, 7, 8, 9, 15, 16, 17].map((size) => [size, file('x'.repeat(size))]))),
  'invalid-utf8': directory({
    'caf\xe9': file('x'),
    link: link('target-\xfe'),
    '\xc3\xa9': file('x'),
    '\xed\xa0\x80': file('x'),
    '\xef\xbf\xbd': file('x'),
    '\xf0\x9f\x98\x80': file('x'),
    '\xff': file('x'),
  }),
  limits: directory({ link: link('t'.repeat(4095)), ['n'.repeat(255)]: file('x') }),
};

describe('NARs by Nix', () => {
  it.each(NARS)('encode to the same bytes: %s', (name) => {
    expect(encode(decode(name)).equals(goldenBytes('nar', `${name}.nar`))).toBe(true);
  });

  it.each(Object.entries(TREES))('hold what was put in: %s', (name, tree) => {
    expect(decode(name)).toEqual(tree);
    expect(encode(tree).equals(goldenBytes('nar', `${name}.nar`))).toBe(true);
  });

  it('have their names in the order of bytes', () => {
    const tree = decode('sorting');
    const names = tree.type === 'directory' ? [...tree.entries.keys()] : [];
    const expected = [' ', '10', '9', 'A', 'Z', '_', '__proto__', 'a', 'a-', 'a.', 'a0', 'aa', 'b', 'z', '~', '\x7f'];
    expect(names).toEqual([...expected, utf8('é')]);
  });

  it('are all looked at', () => {
    expect([...Object.keys(TREES), 'sorting'].sort()).toEqual(NARS);
  });
});
