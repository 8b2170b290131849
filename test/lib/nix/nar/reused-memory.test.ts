import { describe, expect, it } from 'vitest';
import { createNarDecoder } from '#lib/nix/nar/decode.js';
import { encodeNar } from '#lib/nix/nar/encode.js';
import type { NarEvent } from '#lib/nix/nar/event.js';

/** Decompressors write each piece into the same memory: what the decoder still needs of the last one must be its own. */
describe('a NAR in pieces that share one memory', () => {
  const nar = narBytes(tree());

  it.each([1, 7, 8, 64, 1000, 4096, 5000])('is read as it is, %i bytes at a time', (size) => {
    const memory = Buffer.alloc(size);
    const decoder = createNarDecoder();
    const events: NarEvent[] = [];
    for (let at = 0; at < nar.length; at += size) {
      const piece = memory.subarray(0, nar.copy(memory, 0, at, at + size));
      for (const event of decoder.push(piece)) events.push(ownCopy(event));
      memory.fill('?');
    }
    decoder.end();
    expect(narBytes(events).equals(nar)).toBe(true);
  });
});

function narBytes(events: Iterable<NarEvent>): Buffer {
  const pieces: Buffer[] = [];
  for (const piece of encodeNar(events)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

function* tree(): Generator<NarEvent> {
  yield { type: 'directory' };
  for (const name of ['a', 'b', 'c'.repeat(255)]) {
    yield { type: 'entry', name: Buffer.from(name) };
    yield { type: 'symlink', target: Buffer.from(name.padEnd(4000, 't')) };
  }
  yield { type: 'entry', name: Buffer.from('d') };
  yield { type: 'regular', executable: true, size: 10_001 };
  yield { type: 'contents', bytes: Buffer.alloc(10_001, 'X') };
  yield { type: 'end' };
  yield { type: 'end' };
}

function ownCopy(event: NarEvent): NarEvent {
  return event.type === 'contents' ? { ...event, bytes: Uint8Array.from(event.bytes) } : event;
}
