import { describe, expect, it } from 'vitest';
import { type BroadcastOptions, createBroadcast } from '#cache/serve/broadcast.js';
import { AT_BEGINNING } from '#cache/serve/whole-nar.js';
import type { NarPiece } from '#lib/workers/jobs.js';

const WINDOW = 4;

/** Pieces of one byte, as somebody lets them come. */
function controlled() {
  let given = 0;
  let wake = () => {};
  let aborted = false;
  let ended: { readonly error?: Error } | undefined;
  async function* open(signal: AbortSignal): AsyncGenerator<NarPiece> {
    signal.addEventListener('abort', () => {
      aborted = true;
      wake();
    });
    for (let sent = 0; ; ) {
      if (aborted) throw new Error('aborted');
      if (sent < given) yield pieceOf(sent++);
      else if (ended?.error) throw ended.error;
      else if (ended) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }
  return {
    open,
    give(more: number) {
      given += more;
      wake();
    },
    end(error?: Error) {
      ended = error ? { error } : {};
      wake();
    },
    isAborted: () => aborted,
  };
}

function pieceOf(index: number): NarPiece {
  return { bytes: Buffer.from([index]), after: { size: index + 1, digest: new Uint8Array() } };
}

function start(source: ReturnType<typeof controlled>, more: Partial<BroadcastOptions> = {}) {
  let closed = 0;
  const broadcast = createBroadcast({
    open: source.open,
    async *alone({ size }) {
      for (let index = size; index < 20; index++) yield pieceOf(index).bytes;
    },
    ...{ window: WINDOW, patienceMs: 20, beginning: AT_BEGINNING, onClosed: () => closed++ },
    isInTheWay: () => false,
    ...more,
  });
  return { broadcast, closed: () => closed };
}

const running = () => new AbortController().signal;

async function take(reader: AsyncGenerator<Uint8Array>, count: number): Promise<readonly number[]> {
  const taken: number[] = [];
  while (taken.length < count) {
    const { value, done } = await reader.next();
    if (done) return taken;
    taken.push(...value);
  }
  return taken;
}

const upTo = (end: number) => Array.from({ length: end }, (_, index) => index);

describe('one stream for several readers', () => {
  it('gives all of it to each, also to who comes while its beginning is there', async () => {
    const source = controlled();
    const { broadcast, closed } = start(source);
    const first = broadcast.read(running());
    source.give(3);
    expect(await take(first, 2)).toEqual([0, 1]);
    const second = broadcast.read(running());
    source.end();
    expect([await take(first, 9), await take(second, 9)]).toEqual([[2], [0, 1, 2]]);
    expect([await broadcast.kept, broadcast.isOpen(), closed()]).toEqual([true, true, 0]);
    expect(await take(broadcast.read(running()), 9)).toEqual([0, 1, 2]);
  });

  it('takes nobody in whose first bytes are gone', async () => {
    const source = controlled();
    const { broadcast, closed } = start(source);
    const reader = broadcast.read(running());
    source.give(20);
    expect(await take(reader, 10)).toEqual(upTo(10));
    expect([broadcast.isOpen(), closed()]).toEqual([false, 1]);
    source.end();
    expect(await take(reader, 99)).toHaveLength(10);
    expect(await broadcast.kept).toBe(false);
  });

  it('waits for one reader as long as it takes', async () => {
    const source = controlled();
    const { broadcast } = start(source);
    const reader = broadcast.read(running());
    source.give(20);
    source.end();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await take(reader, 99)).toEqual(upTo(20));
  });

  it('lets a reader go on alone for which others would have to wait', async () => {
    const source = controlled();
    const { broadcast } = start(source);
    const [fast, slow] = [broadcast.read(running()), broadcast.read(running())];
    source.give(20);
    source.end();
    expect(await take(slow, 2)).toEqual([0, 1]);
    expect(await take(fast, 99)).toEqual(upTo(20));
    expect(await take(slow, 99)).toEqual(upTo(20).slice(2));
  });

  it('is not held for a reader that stands still when it is in the way of other streams', async () => {
    const source = controlled();
    const { broadcast, closed } = start(source, { isInTheWay: () => true });
    const reader = broadcast.read(running());
    source.give(20);
    expect(await take(reader, 2)).toEqual([0, 1]);
    await expect.poll(source.isAborted, { timeout: 60_000 }).toBe(true);
    expect([await broadcast.kept, closed()]).toEqual([false, 1]);
    expect(await take(reader, 99)).toEqual(upTo(20).slice(2));
  });

  it('ends with nobody, and not with one of two', async () => {
    const source = controlled();
    const { broadcast } = start(source);
    const [one, other] = [new AbortController(), new AbortController()];
    const [first, second] = [broadcast.read(one.signal), broadcast.read(other.signal)];
    source.give(1);
    expect([await take(first, 1), await take(second, 1)]).toEqual([[0], [0]]);
    const waiting = second.next();
    one.abort();
    expect(source.isAborted()).toBe(false);
    other.abort(new Error('gone'));
    await expect(waiting).rejects.toThrow('gone');
    expect([source.isAborted(), await broadcast.kept]).toEqual([true, false]);
  });

  it('fails for all, and is not read again', async () => {
    const source = controlled();
    const { broadcast, closed } = start(source);
    const readers = [broadcast.read(running()), broadcast.read(running())];
    source.give(1);
    source.end(new Error('wrong'));
    for (const reader of readers) await expect(take(reader, 9)).rejects.toThrow('wrong');
    expect([await broadcast.kept, broadcast.isOpen(), closed()]).toEqual([false, false, 1]);
  });
});
