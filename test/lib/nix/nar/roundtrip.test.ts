import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createNarDecoder, decodeNar } from '#lib/nix/nar/decode.js';
import { encodeNar } from '#lib/nix/nar/encode.js';
import type { NarEvent } from '#lib/nix/nar/event.js';
import * as arbitrary from '../../../support/arbitraries.js';
import { entryTokens, eventsOf, naiveNar, narOf, type Tree, treeOf } from '../../../support/nar.js';

/** The bytes that the encoder writes; pieces are copied, as each is valid until the next only. */
function encode(events: Iterable<NarEvent>): Buffer {
  return Buffer.concat(copied(events));
}

function copied(events: Iterable<NarEvent>): Buffer[] {
  const pieces: Buffer[] = [];
  for (const piece of encodeNar(events)) pieces.push(Buffer.from(piece));
  return pieces;
}

function decode(pieces: readonly Uint8Array[]): Tree {
  const decoder = createNarDecoder();
  function* events() {
    for (const piece of pieces) yield* decoder.push(piece);
  }
  const tree = treeOf(events());
  decoder.end();
  return tree;
}

describe('a NAR', () => {
  it('has the bytes that its grammar says, however the contents are cut', () => {
    fc.assert(
      fc.property(arbitrary.narTree(), fc.integer({ min: 1, max: 50 }), (tree, pieceSize) => {
        expect(encode(eventsOf(tree, pieceSize)).equals(naiveNar(tree))).toBe(true);
      }),
    );
  });

  it('gives back the tree and the bytes, however it is cut into pieces', () => {
    fc.assert(
      fc.property(arbitrary.narTree(), arbitrary.cuts(), (tree, cuts) => {
        const nar = naiveNar(tree);
        const decoded = decode(arbitrary.cutsOf(nar, cuts));
        expect(encode(eventsOf(decoded)).equals(nar)).toBe(true);
        expect(encode(eventsOf(tree)).equals(nar)).toBe(true);
      }),
    );
  });

  it('gives back events that encode to the same bytes, byte by byte', async () => {
    await fc.assert(
      fc.asyncProperty(arbitrary.narTree(), async (tree) => {
        const nar = naiveNar(tree);
        const events: NarEvent[] = [];
        for await (const event of decodeNar([...nar].map((byte) => Uint8Array.of(byte)))) events.push(keep(event));
        expect(encode(events).equals(nar)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('with files without contents gives back its bytes', () => {
    const plain = ['(', 'type', 'regular', ')'];
    const executable = ['(', 'type', 'regular', 'executable', '', ')'];
    const empty = ['(', 'type', 'regular', 'contents', '', ')'];
    const entries = [entryTokens('a', plain), entryTokens('b', executable), entryTokens('c', empty)].flat();
    for (const tokens of [plain, executable, empty, ['(', 'type', 'directory', ...entries, ')']]) {
      const nar = narOf(...tokens);
      const events = [...createNarDecoder().push(nar)];
      expect(encode(events).equals(nar)).toBe(true);
    }
  });

  it('has other bytes for another tree', () => {
    fc.assert(
      fc.property(arbitrary.narTree(), arbitrary.narTree(), (a, b) => {
        const same = encode(eventsOf(a)).equals(encode(eventsOf(b)));
        expect(same).toBe(naiveNar(a).equals(naiveNar(b)));
      }),
    );
  });

  it.each([0, 1, 7, 8, 9, 32 * 1024, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 200_000])(
    'holds a file of %i bytes, given in one piece or in many',
    (size) => {
      const contents = Uint8Array.from({ length: size }, (_, index) => index % 251);
      const tree: Tree = {
        type: 'directory',
        entries: new Map<string, Tree>([
          ['big', { type: 'regular', executable: true, contents }],
          ['small', { type: 'regular', executable: false, contents: Uint8Array.of(1) }],
        ]),
      };
      const nar = naiveNar(tree);
      expect(encode(eventsOf(tree)).equals(nar)).toBe(true);
      expect(encode(eventsOf(tree, 1000)).equals(nar)).toBe(true);
      expect(encode(eventsOf(decode(arbitrary.cutsOf(nar, [0.001, 0.5, 0.9])))).equals(nar)).toBe(true);
    },
  );

  it('of many small files comes in pieces of bounded size', () => {
    const contents = Uint8Array.of(1, 2, 3);
    const names = Array.from({ length: 3000 }, (_, index) => String(index).padStart(6, '0'));
    const tree: Tree = {
      type: 'directory',
      entries: new Map(names.map((name) => [name, { type: 'regular', executable: false, contents }])),
    };
    const pieces = copied(eventsOf(tree));
    expect(Buffer.concat(pieces).equals(naiveNar(tree))).toBe(true);
    expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThanOrEqual(64 * 1024);
    expect(pieces.length).toBeLessThan(names.length / 50);
  });
});

/** An event whose bytes outlive it. */
function keep(event: NarEvent): NarEvent {
  return event.type === 'contents' ? { type: 'contents', bytes: Buffer.from(event.bytes) } : event;
}
