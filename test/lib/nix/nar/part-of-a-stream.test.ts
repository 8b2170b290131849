import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createNarDecoder } from '#lib/nix/nar/decode.js';
import { cuts, cutsOf, narTree } from '../../../support/arbitraries.js';
import { naiveNar } from '../../../support/nar.js';

describe('a NAR that is a part of a longer stream', () => {
  it('ends where it ends, wherever the stream is cut', () => {
    fc.assert(
      fc.property(narTree(), fc.uint8Array({ maxLength: 40 }), cuts(), (tree, rest, places) => {
        const nar = naiveNar(tree);
        const decoder = createNarDecoder({ mayGoOn: true });
        let taken = 0;
        for (const piece of cutsOf(Buffer.concat([nar, rest]), places)) {
          for (const _ of decoder.push(piece));
          taken += piece.length;
          const after = decoder.bytesAfterEnd();
          expect(after).toBe(taken < nar.length ? undefined : taken - nar.length);
          if (after !== undefined) return;
        }
        expect.unreachable('the end was not found');
      }),
    );
  });
});
