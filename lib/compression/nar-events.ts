/** What a compressed NAR holds, as events, and what is wrong with it. */

import { type CarportError, hasCode } from '../errors.js';
import { createNarDecoder } from '../nix/nar/decode.js';
import type { NarEvent } from '../nix/nar/event.js';
import type { Decompressor } from './decompress.js';
import { NarRefusal } from './nar-refusal.js';
import { type ExpectedNar, readVerifiedNar } from './verified-nar.js';

/** A piece of a NAR. Its events must all be taken before the next piece is asked for. */
interface NarPiece {
  readonly bytes: Uint8Array;
  readonly events: Iterable<NarEvent>;
}

/**
 * The NAR that an untrusted file holds, as `readVerifiedNar` gives it, and what it says. One that is no NAR is still read to
 * its end, without events, and refused there: only its hash tells whether it was damaged, or was never one.
 */
export async function* readNarEvents(
  promise: ExpectedNar,
  source: AsyncIterable<Uint8Array>,
  zstd?: Decompressor,
): AsyncGenerator<NarPiece> {
  const decoder = createNarDecoder();
  let refusal: CarportError | undefined;
  function* decode(step: () => Iterable<NarEvent>): Generator<NarEvent> {
    if (refusal) return;
    try {
      yield* step();
    } catch (error) {
      if (!hasCode(error, 'E_FORMAT')) throw error;
      refusal = error;
    }
  }
  for await (const bytes of readVerifiedNar(promise, source, zstd)) {
    yield { bytes, events: decode(() => decoder.push(bytes)) };
  }
  const atEnd = decode(() => {
    decoder.end();
    return [];
  });
  for (const _ of atEnd);
  // All of it was read, and is what was signed.
  if (refusal) throw new NarRefusal(refusal.code, refusal.message, 'as told', { cause: refusal.cause });
}
