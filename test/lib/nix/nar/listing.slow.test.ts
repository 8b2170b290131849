import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createNarDecoder } from '#lib/nix/nar/decode.js';
import {
  createListingBuilder,
  findInListing,
  type NarListing,
  parseListing,
  renderListing,
} from '#lib/nix/nar/listing.js';
import * as arbitrary from '../../../support/arbitraries.js';
import { expectFormatError } from '../../../support/errors.js';
import { entryTokens, eventsOf, FILE_TOKENS, latin1, naiveNar, narOf, type Tree } from '../../../support/nar.js';

function listingOf(tree: Tree): NarListing | undefined {
  const builder = createListingBuilder();
  for (const _ of builder.tap(eventsOf(tree, 7)));
  return builder.finish();
}

const file = (contents = ''): Tree => ({ type: 'regular', executable: false, contents: latin1(contents) });
const directory = (...names: string[]): Tree => ({
  type: 'directory',
  entries: new Map(names.map((name) => [latin1Of(name), file()])),
});

function withRoot(root: unknown): string {
  return JSON.stringify({ root, version: 1 });
}

describe('a listing', () => {
  it('tells where each file’s contents begin in the NAR', () => {
    fc.assert(
      fc.property(arbitrary.narTree({ ascii: true }), (tree) => {
        checkOffsets(listingOf(tree)!, tree, naiveNar(tree));
      }),
    );
  });

  it.each([
    ['plain', []],
    ['executable', ['executable', '']],
  ])('tells where contents begin after a %s file without contents', (_, flags) => {
    const without = ['(', 'type', 'regular', ...flags, ')'];
    const nar = narOf('(', 'type', 'directory', ...entryTokens('a', without), ...entryTokens('b', FILE_TOKENS), ')');
    const builder = createListingBuilder();
    for (const _ of builder.tap(createNarDecoder().push(nar)));
    const file = findInListing(builder.finish()!, 'b') as { narOffset: number };
    expect(nar.toString('latin1', file.narOffset - 8, file.narOffset + 1)).toBe('\x01\0\0\0\0\0\0\0x');
    expect(findInListing(builder.finish()!, 'a')).toMatchObject({ type: 'regular', size: 0 });
  });

  it('tells the same when the events come in several goes', () => {
    fc.assert(
      fc.property(arbitrary.narTree({ ascii: true }), arbitrary.cuts(), (tree, cuts) => {
        const builder = createListingBuilder();
        const decoder = createNarDecoder();
        for (const piece of arbitrary.cutsOf(naiveNar(tree), cuts)) {
          for (const _ of builder.tap(decoder.push(piece)));
        }
        expect(builder.finish()).toEqual(listingOf(tree));
      }),
    );
  });

  it('gives back what was rendered, entries in the NAR’s order', () => {
    fc.assert(
      fc.property(arbitrary.narTree({ ascii: true }), (tree) => {
        const listing = listingOf(tree)!;
        expect(parseListing(renderListing(listing))).toEqual(listing);
        expect(renderListing(parseListing(renderListing(listing)))).toBe(renderListing(listing));
      }),
    );
  });

  it('keeps the bytewise order of names that JSON or UTF-16 would order otherwise', () => {
    const names = ['10', '9', '__proto__', 'a', '\ufffd', '\u{1f600}'];
    const text = renderListing(listingOf(directory(...names))!);
    const parsed = parseListing(text);
    expect(parsed.type === 'directory' && [...parsed.entries.keys()]).toEqual(names);
    expect(renderListing(parsed)).toBe(text);
  });

  it('is compact JSON with sorted keys', () => {
    const tree: Tree = {
      type: 'directory',
      entries: new Map<string, Tree>([
        ['bar', file('bar\n')],
        ['link', { type: 'symlink', target: 'a"b' }],
      ]),
    };
    expect(renderListing(listingOf(tree)!)).toBe(
      '{"root":{"entries":{"bar":{"executable":false,"narOffset":232,"size":4,"type":"regular"},' +
        '"link":{"target":"a\\"b","type":"symlink"}},"type":"directory"},"version":1}',
    );
  });

  it('hands every event on', () => {
    const tree = directory('a', 'b');
    expect([...createListingBuilder().tap(eventsOf(tree))]).toEqual([...eventsOf(tree)]);
  });

  it('does not exist of a NAR with a name or target that is not UTF-8', () => {
    const target: Tree = { type: 'symlink', target: 'caf\xe9' };
    expect(listingOf(target)).toBeUndefined();
    expect(listingOf({ type: 'directory', entries: new Map([['\xff', file()]]) })).toBeUndefined();
    expect(listingOf({ type: 'directory', entries: new Map([['\xed\xa0\x80', file()]]) })).toBeUndefined();
    expect(listingOf(directory('\ufffd', 'é'))).toBeDefined();
  });

  it('can be read all the same, with every name', () => {
    const builder = createListingBuilder();
    const names = ['README', 'bokm\xe5l', 'bokm\xe6l'];
    const tree: Tree = { type: 'directory', entries: new Map(names.map((name) => [name, file()])) };
    for (const _ of builder.tap(eventsOf(tree)));
    expect(builder.finish()).toBeUndefined();
    const parsed = parseListing(renderListing(builder.finishReadable()));
    expect(parsed.type === 'directory' && [...parsed.entries.keys()]).toEqual([
      ...['README', 'bokm\ufffdl', 'bokm\ufffdl (626f6b6de66c)'],
    ]);
  });

  it('of old Nix, with version first and without `executable: false`, is read', () => {
    const text = '{"version":1,"root":{"type":"directory","entries":{"x":{"type":"regular","size":3,"narOffset":9}}}}';
    expect(findInListing(parseListing(text), 'x')).toEqual({
      type: 'regular',
      executable: false,
      size: 3,
      narOffset: 9,
    });
  });
});

describe('finding in a listing', () => {
  const listing = parseListing(
    withRoot({
      type: 'directory',
      entries: {
        bin: { type: 'directory', entries: { x: { type: 'regular', size: 1 } } },
        l: { type: 'symlink', target: 'bin' },
      },
    }),
  );

  it('follows names from the root', () => {
    expect(findInListing(listing, '')).toBe(listing);
    expect(findInListing(listing, 'bin/x')).toMatchObject({ size: 1 });
    expect(findInListing(listing, '/bin//x/')).toMatchObject({ size: 1 });
  });

  it.each(['missing', 'bin/y', 'bin/x/y', 'l/x', '..', 'bin/../bin', '__proto__', 'constructor'])(
    'finds nothing at `%s`',
    (path) => {
      expect(findInListing(listing, path)).toBeUndefined();
    },
  );
});

describe('a listing is refused', () => {
  it.each([
    ['that is not JSON', '{', 'is not JSON'],
    ['that is empty', '', 'is not JSON'],
    ['that is null', 'null', 'is not of version 1'],
    ['that is an array', '[]', 'is not of version 1'],
    ['of no version', '{"root":{"type":"regular","size":1}}', 'is not of version 1'],
    ['of version 2', '{"root":{"type":"regular","size":1},"version":2}', 'is not of version 1'],
    ['of version "1"', '{"root":{"type":"regular","size":1},"version":"1"}', 'is not of version 1'],
    ['without a root', '{"version":1}', 'a node is not an object'],
  ])('%s', (_, text, reason) => {
    expectFormatError(reason, () => parseListing(text));
  });

  it.each([
    ['null', null],
    ['text', 'regular'],
    ['an array', []],
  ])('with %s for a node', (_, node) => {
    expectFormatError('a node is not an object', () => parseListing(withRoot(node)));
    const text = withRoot({ type: 'directory', entries: { a: node } });
    expectFormatError('a node is not an object', () => parseListing(text));
  });

  it.each([
    ['no type', {}],
    ['an unknown type', { type: 'socket' }],
    ['a directory without entries', { type: 'directory' }],
    ['a directory whose entries are an array', { type: 'directory', entries: [] }],
    ['a symlink without a target', { type: 'symlink' }],
    ['a symlink to a number', { type: 'symlink', target: 1 }],
    ['a file without a size', { type: 'regular' }],
    ['a file of negative size', { type: 'regular', size: -1 }],
    ['a file of broken size', { type: 'regular', size: 1.5 }],
    ['a file of enormous size', { type: 'regular', size: 2 ** 53 }],
    ['a file whose size is text', { type: 'regular', size: '1' }],
  ])('with a node that is %s', (_, node) => {
    expectFormatError('a node is neither directory, file nor symlink', () => parseListing(withRoot(node)));
  });

  it.each([
    ['empty', '', 'an entry has an empty name'],
    ['`.`', '.', 'an entry is named `.`'],
    ['`..`', '..', 'an entry is named `..`'],
    ['a path', 'a/b', 'has a slash'],
    ['with a NUL', 'a\0', 'an entry name has a NUL byte'],
    ['of 256 characters', 'n'.repeat(256), 'an entry name has 256 bytes'],
    ['of 256 bytes in 128 characters', 'é'.repeat(128), 'an entry name has 256 bytes'],
    ['half a surrogate pair', '\ud800', 'an entry name is not Unicode'],
  ])('with a name that is %s', (_, name, reason) => {
    const text = `{"root":{"type":"directory","entries":{${JSON.stringify(name)}:{"type":"regular","size":1}}},"version":1}`;
    expectFormatError(reason, () => parseListing(text));
  });

  it.each([
    ['empty', '', 'a symlink has an empty target'],
    ['with a NUL', 'a\0b', 'a symlink target has a NUL byte'],
    ['of 4096 bytes', 't'.repeat(4096), 'a symlink target has 4096 bytes'],
    ['half a surrogate pair', '\udc00', 'a symlink target is not Unicode'],
  ])('with a target that is %s', (_, target, reason) => {
    expectFormatError(reason, () => parseListing(withRoot({ type: 'symlink', target })));
  });

  it('with nesting of 64 levels, or of a million', () => {
    const nested = (depth: number) =>
      `{"version":1,"root":${'{"type":"directory","entries":{"d":'.repeat(depth)}{"type":"regular","size":1}${'}}'.repeat(depth)}}`;
    expect(findInListing(parseListing(nested(63)), 'd/'.repeat(63))).toMatchObject({ type: 'regular' });
    expectFormatError('nested deeper than the 64 levels', () => parseListing(nested(64)));
    expectFormatError(/nested deeper than the 64 levels|is not JSON/, () => parseListing(nested(1_000_000)));
  });

  it('with `__proto__` as anything but a name', () => {
    const polluting = '{"version":1,"root":{"__proto__":{"type":"regular","size":1}}}';
    expectFormatError('neither directory, file nor symlink', () => parseListing(polluting));
    const named = '{"version":1,"root":{"type":"directory","entries":{"__proto__":{"type":"regular","size":7}}}}';
    expect(findInListing(parseListing(named), '__proto__')).toMatchObject({ size: 7 });
    expect(renderListing(parseListing(named))).toContain('"__proto__":{');
    expect(({} as { size?: number }).size).toBeUndefined();
  });
});

function checkOffsets(listing: NarListing, tree: Tree, nar: Buffer): void {
  expect(listing.type).toBe(tree.type);
  if (listing.type === 'regular' && tree.type === 'regular') {
    const { narOffset, size } = listing;
    expect(listing.executable).toBe(tree.executable);
    expect(nar.subarray(narOffset!, narOffset! + size).equals(tree.contents)).toBe(true);
    expect(nar.readBigUInt64LE(narOffset! - 8)).toBe(BigInt(size));
  }
  if (listing.type === 'symlink' && tree.type === 'symlink') expect(listing.target).toBe(tree.target);
  if (listing.type === 'directory' && tree.type === 'directory') {
    expect([...listing.entries.keys()]).toEqual([...tree.entries.keys()].sort());
    for (const [name, child] of tree.entries) checkOffsets(listing.entries.get(name)!, child, nar);
  }
}

function latin1Of(text: string): string {
  return Buffer.from(text).toString('latin1');
}
