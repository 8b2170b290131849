import { expect, it } from 'vitest';
import { createRoom } from '#cache/serve/room.js';

const piece = (size: number) => ({ bytes: Buffer.alloc(4), after: { size, digest: Buffer.alloc(0) } });

/** A NAR of two pieces, the second of which comes when it is let. */
function twoPieces(fails = false) {
  let finish: () => void = () => {};
  const come = new Promise<void>((resolve) => {
    finish = resolve;
  });
  async function* pieces() {
    yield piece(4);
    await come;
    if (fails) throw new Error('it is wrong');
    yield piece(8);
  }
  return { pieces: pieces(), end: () => finish() };
}

/** Whether the first piece comes before the second one may. */
async function isHeld(next: Promise<unknown>): Promise<boolean> {
  return Promise.race([next.then(() => false), new Promise<true>((resolve) => setTimeout(() => resolve(true), 20))]);
}

it('holds NARs until they are whole, as many as there is room for', async () => {
  const room = createRoom(35);
  const nars = Array.from({ length: 5 }, () => twoPieces());
  const streams = nars.map(({ pieces }) => room.whenWhole(pieces, 8));
  const firsts = streams.map((stream) => stream.next());
  expect(await Promise.all(firsts.map(isHeld))).toEqual([true, true, true, true, false]);
  for (const { end } of nars) end();
  for (const [index, stream] of streams.entries()) {
    expect((await firsts[index])?.value).toEqual(piece(4));
    expect((await stream.next()).value).toEqual(piece(8));
    expect((await stream.next()).done).toBe(true);
  }
  // What was held is given back.
  const again = twoPieces();
  expect(await isHeld(room.whenWhole(again.pieces, 8).next())).toBe(true);
  again.end();
});

it('gives a large one as it comes, and nothing of one that is wrong', async () => {
  const room = createRoom(35);
  expect(await isHeld(room.whenWhole(twoPieces().pieces, 9).next())).toBe(false);
  for (let round = 0; round < 10; round++) {
    const wrong = twoPieces(true);
    const next = room.whenWhole(wrong.pieces, 8).next();
    wrong.end();
    await expect(next).rejects.toThrow('it is wrong');
  }
});
