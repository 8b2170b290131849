import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createReadAhead } from '#cache/delta/read-ahead.js';
import { noise } from '../../support/files.js';
import { halfHere, wantedHalf } from '../../support/half-here.js';
import { answerWith, type HttpServer, useHttpServers } from '../../support/http-server.js';
import { useStores } from '../../support/stores.js';

/** Answers that come when a test says so, each in two pieces. */
function createAnswers(count: number, size = 2) {
  const came = Array.from({ length: count }, () => {
    let [resolve, reject]: [() => void, (error: unknown) => void] = [() => {}, () => {}];
    const promise = new Promise<void>((...both) => {
      [resolve, reject] = both;
    });
    promise.catch(() => undefined);
    return { promise, resolve, reject };
  });
  const asked: number[] = [];
  const open = new Set<number>();
  const answers = came.map(({ promise }, index) => ({
    size,
    async *bytes() {
      asked.push(index);
      open.add(index);
      try {
        await promise;
        yield Uint8Array.of(index);
        yield Uint8Array.of(index);
      } finally {
        open.delete(index);
      }
    },
  }));
  return { answers, asked, open, come: (index: number) => came[index]!.resolve(), came };
}

async function settled(): Promise<void> {
  for (let turns = 0; turns < 10; turns++) await turn();
}

/** Reads on by itself, and tells what it has got so far. */
function reading(pieces: AsyncIterable<Uint8Array>) {
  const got: number[] = [];
  const done = (async () => {
    for await (const piece of pieces) got.push(...piece);
  })();
  done.catch(() => undefined);
  return { got, done };
}

describe('what is read ahead', () => {
  it('comes in order, however it arrives, and some at a time', async () => {
    const { answers, asked, open, come } = createAnswers(5);
    const { got, done } = reading(createReadAhead({ answers: 3, bytes: 100 })(answers, true));
    await settled();
    expect(asked).toEqual([0, 1, 2]);
    come(2);
    come(1);
    await settled();
    expect(got).toEqual([]);
    // What has come is held, and so no more is asked for.
    expect(asked).toEqual([0, 1, 2]);
    for (const index of [0, 4, 3]) come(index);
    await done;
    expect(got).toEqual([0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
    expect(asked).toEqual([0, 1, 2, 3, 4]);
    expect(open.size).toBe(0);
  });

  it('waits for the first answer where nobody knows whether the server gives any', async () => {
    const { answers, asked, come } = createAnswers(4);
    const { got, done } = reading(createReadAhead({ answers: 2, bytes: 100 })(answers, false));
    await settled();
    expect(asked).toEqual([0]);
    come(0);
    await settled();
    expect(got).toEqual([0, 0]);
    expect(asked).toEqual([0, 1, 2]);
    for (const index of [1, 2, 3]) come(index);
    await done;
  });

  it('is no more than there is room for, by whomever it is read, and what is larger is not held', async () => {
    const readAhead = createReadAhead({ answers: 10, bytes: 5 });
    const [one, other, large] = [createAnswers(4), createAnswers(4), createAnswers(2, 6)];
    const first = reading(readAhead(one.answers, true));
    const second = reading(readAhead(other.answers, true));
    const third = reading(readAhead(large.answers, true));
    await settled();
    expect([one.asked, other.asked, large.asked]).toEqual([[0, 1], [0], [0]]);
    for (const { come, answers } of [one, other, large]) for (const index of answers.keys()) come(index);
    await Promise.all([first.done, second.done, third.done]);
    expect([first.got, second.got]).toEqual([
      [0, 0, 1, 1, 2, 2, 3, 3],
      [0, 0, 1, 1, 2, 2, 3, 3],
    ]);
    expect(third.got).toEqual([0, 0, 1, 1]);
  });

  it('fails when the turn of what has failed comes; then nothing is left, and no room taken', async () => {
    const readAhead = createReadAhead({ answers: 3, bytes: 100 });
    const { answers, asked, open, come, came } = createAnswers(8);
    const { got, done } = reading(readAhead(answers, true));
    await settled();
    came[1]!.reject(new Error('the second'));
    await settled();
    come(0);
    await expect(done).rejects.toThrow('the second');
    expect(got).toEqual([0, 0]);
    expect(asked).toEqual([0, 1, 2]);
    expect([...open]).toEqual([2]);
    come(2);
    await settled();
    expect(open.size).toBe(0);
    const next = createAnswers(4);
    const { done: nextDone } = reading(readAhead(next.answers, true));
    await settled();
    expect(next.asked).toEqual([0, 1, 2]);
    for (const index of next.answers.keys()) next.come(index);
    await nextDone;
  });

  it('is no more than what was asked for', async () => {
    const { answers, come } = createAnswers(2, 1);
    const { got, done } = reading(createReadAhead({ answers: 3, bytes: 100 })(answers, true));
    for (const index of [0, 1]) come(index);
    await expect(done).rejects.toMatchObject({ code: 'E_FORMAT' });
    expect(got).toEqual([]);
  });

  it('is let go when nobody reads on', async () => {
    const { answers, asked, open, come } = createAnswers(6);
    const pieces = createReadAhead({ answers: 3, bytes: 100 })(answers, true);
    come(0);
    expect(Buffer.from((await pieces.next()).value!)).toEqual(Buffer.of(0, 0));
    await pieces.return(undefined);
    come(1);
    come(2);
    await settled();
    expect(asked).toEqual([0, 1, 2]);
    expect(open.size).toBe(0);
  });
});

const FRAME = 10 * 1024;
const COUNT = 120;
const FILE = noise(FRAME * COUNT, 'file');

describe('ranges of a NAR, one in an answer,', () => {
  const serve = useHttpServers();
  const stores = useStores();

  /** A server that answers when as many requests wait as it says, or when nobody can ask for more; and a NAR of which half is here. */
  const start = async ({ atOnce = 1, sendsParts = true, answersWhole = false, missing = -1 }) => {
    const waiting: (() => void)[] = [];
    const stopping = new AbortController();
    const told = { requests: 0, most: 0, inFlight: 0 };
    const server: HttpServer = await serve(({ headers }, response) => {
      const [from, to] = headers.range!.replace('bytes=', '').split('-').map(Number) as [number, number];
      told.requests++;
      told.most = Math.max(told.most, ++told.inFlight);
      waiting.push(() => {
        response.once('close', () => told.inFlight--);
        if (from === missing * FRAME) return answerWith(response, 'none', { status: 404 });
        if (answersWhole) return answerWith(response, FILE);
        const contentRange = `bytes ${from}-${to}/${FILE.length}`;
        answerWith(response, FILE.subarray(from, to + 1), { status: 206, headers: { 'content-range': contentRange } });
      });
      const isLast = told.requests === COUNT / 2 || (told.requests === 1 && !sendsParts);
      if (waiting.length < atOnce && !isLast) return;
      for (const answer of waiting.splice(0)) answer();
    });
    const { objects } = (await stores()).open(server.url.href, { patienceMs: 500, signal: stopping.signal });
    const shape = { link: 'nar/x', count: COUNT, frameSize: FRAME, fileSize: 10 * FILE.length };
    return { server, told, stopping, nar: halfHere({ ...shape, objects, sendsParts }) };
  };

  it('are asked for several at a time, each once', async () => {
    for (const sendsParts of [true, false]) {
      const { told, nar } = await start({ atOnce: 32, sendsParts });
      const pieces: Uint8Array[] = [];
      for await (const piece of nar.source!()) pieces.push(piece);
      expect(Buffer.concat(pieces).equals(wantedHalf(FILE, FRAME))).toBe(true);
      expect(told).toEqual({ requests: COUNT / 2, most: 32, inFlight: 0 });
    }
  });

  it('leave nothing open when one of them fails', async () => {
    const { told, nar } = await start({ missing: 21 });
    const { got, done } = reading(nar.source!());
    await expect(done).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    expect(Buffer.from(got).equals(wantedHalf(FILE, FRAME).subarray(0, 10 * FRAME))).toBe(true);
    await expect.poll(() => told.inFlight).toBe(0);
    expect(told.requests).toBeLessThan(COUNT / 2);
  });

  it('are let go by an interrupt', async () => {
    const { server, told, stopping, nar } = await start({ atOnce: Number.POSITIVE_INFINITY });
    const { done } = reading(nar.source!());
    await expect.poll(() => told.inFlight).toBe(32);
    const reason = new Error('interrupted');
    stopping.abort(reason);
    await expect(done).rejects.toBe(reason);
    await expect.poll(() => server.open()).toBe(0);
    expect(told.requests).toBe(32);
  });

  it('are asked for once of a server that sends all of it', async () => {
    const { told, nar } = await start({ sendsParts: false, answersWhole: true });
    await expect(reading(nar.source!()).done).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
    await expect.poll(() => told.inFlight).toBe(0);
    expect(told.requests).toBeLessThanOrEqual(2);
  });
});
