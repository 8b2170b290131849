import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createNarDecoder } from '#lib/nix/nar/decode.js';
import { encodeNar } from '#lib/nix/nar/encode.js';
import type { NarEvent } from '#lib/nix/nar/event.js';
import { readWholeNar } from '#lib/nix/nar/whole.js';
import * as arbitrary from '../../../support/arbitraries.js';
import { directoryTokens, eventsOf, naiveNar, narOf, nestedTokens } from '../../../support/nar.js';

/** The bytes that its events encode to; `undefined` when it was refused. */
function reread(nar: Buffer): Buffer | undefined {
  const events: NarEvent[] = [];
  if (!readWholeNar(nar, (event) => events.push(event))) return undefined;
  return Buffer.concat([...encodeNar(events)].map((piece) => Buffer.from(piece)));
}

function isRefusedByDecoder(nar: Buffer): boolean {
  const decoder = createNarDecoder();
  try {
    for (const _ of decoder.push(nar));
    decoder.end();
    return false;
  } catch {
    return true;
  }
}

describe('a NAR that is in memory as a whole', () => {
  it('gives the events of its tree', () => {
    fc.assert(
      fc.property(arbitrary.narTree(), (tree) => {
        expect(reread(naiveNar(tree))?.equals(naiveNar(tree))).toBe(true);
        const events: NarEvent[] = [];
        readWholeNar(naiveNar(tree), (event) => events.push(event));
        expect(events.map(({ type }) => type)).toEqual(
          [...eventsOf(tree)]
            .filter((event) => event.type !== 'contents' || event.bytes.length > 0)
            .map(({ type }) => type),
        );
      }),
    );
  });

  it('is refused where the decoder refuses it, wherever a byte is another', () => {
    fc.assert(
      fc.property(arbitrary.narTree(), fc.nat(), fc.integer({ min: 1, max: 255 }), (tree, place, change) => {
        const nar = naiveNar(tree);
        nar[place % nar.length]! ^= change;
        if (isRefusedByDecoder(nar)) expect(reread(nar)).toBeUndefined();
        else expect(reread(nar)?.equals(nar) ?? true).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it('is refused when it is cut, or goes on', () => {
    const nar = narOf(...directoryTokens('a', 'b'));
    for (let size = 0; size < nar.length; size++) expect(reread(nar.subarray(0, size))).toBeUndefined();
    expect(reread(Buffer.concat([nar, Buffer.alloc(8)]))).toBeUndefined();
  });

  it.each([
    ['names that are not in order', narOf(...directoryTokens('b', 'a'))],
    ['a name twice', narOf(...directoryTokens('a', 'a'))],
    ['a name with a slash', narOf(...directoryTokens('a/b'))],
    ['a name that leads out', narOf(...directoryTokens('..'))],
    ['an empty name', narOf(...directoryTokens(''))],
    ['too many levels', narOf(...nestedTokens(64))],
    ['a link to nothing', narOf('(', 'type', 'symlink', 'target', '', ')')],
    [
      'a length beyond the end',
      naiveNar({ type: 'symlink', target: 'x' }).fill(0xff, 24 + 16 + 16 + 16 + 16, 24 + 16 + 16 + 16 + 24),
    ],
  ])('is refused with %s', (_, nar) => {
    expect(isRefusedByDecoder(nar)).toBe(true);
    expect(reread(nar)).toBeUndefined();
  });
});
