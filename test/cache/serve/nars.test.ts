import { describe, expect, it } from 'vitest';
import type { FoundPath } from '#cache/find-path.js';
import { createNars } from '#cache/serve/nars.js';
import { formatHash, hashBytes } from '#lib/nix/hash.js';
import type { NarInfo } from '#lib/nix/narinfo.js';
import { piecesOf } from '../../support/nar-pieces.js';

/** More than is kept for a reader that stands still. */
const NAR = Buffer.alloc(6_000_000, 'nar');
const PIECE = 500_000;
const narHash = hashBytes('sha256', NAR);
const key = (digit: number) => ({
  hashPart: String(digit).repeat(32),
  narHash: formatHash(narHash, 'nix32'),
});

/** NARs of which two may be fetched at a time. */
function start() {
  let underWay = 0;
  let most = 0;
  const found = { objects: { url: 'x', traits: { maxReads: 1 } } } as unknown as FoundPath;
  const nars = createNars({
    narInfos: {
      find: async () => found,
      async *having() {
        yield found;
      },
    },
    upstreams: { failed: () => {} } as never,
    async *read(_, signal, after) {
      most = Math.max(most, ++underWay);
      try {
        for (const piece of piecesOf(NAR, { size: PIECE, after })) {
          signal.throwIfAborted();
          yield piece;
        }
      } finally {
        underWay--;
      }
    },
    ...{ emit: () => {}, now: () => 0, atOnce: 2, patienceMs: 20 },
  });
  const wanted = { path: '/nix/store/x', narHash, narSize: NAR.length } as NarInfo;
  const open = (digit: number, signal = new AbortController().signal) => nars.open(wanted, key(digit), signal);
  return { open, most: () => most };
}

async function rest(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

describe('NARs of which only so many are fetched at a time', () => {
  it('wait for nobody who reads nothing, and who goes on later gets the rest', async () => {
    const { open, most } = start();
    const slow = [1, 2, 3, 4].map((digit) => open(digit));
    const firsts = await Promise.all(slow.map(async (pieces) => (await pieces.next()).value as Uint8Array));
    expect((await rest(open(5))).equals(NAR)).toBe(true);
    for (const [index, pieces] of slow.entries()) {
      expect(Buffer.concat([firsts[index]!, await rest(pieces)]).equals(NAR)).toBe(true);
    }
    expect(most()).toBe(2);
  });

  it('are not waited for by who has gone', async () => {
    const { open } = start();
    const slow = [1, 2].map((digit) => open(digit));
    await Promise.all(slow.map((pieces) => pieces.next()));
    const gone = new AbortController();
    const waiting = open(3, gone.signal).next();
    gone.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
  });
});
