import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createAdaptiveLimit } from '#lib/http/adaptive-limit.js';
import type { HttpRequest, Transport } from '#lib/http/transport.js';
import { type FakeAnswer, fakeResponse } from '../../support/transports.js';

const REQUEST: HttpRequest = { method: 'GET', url: new URL('http://host/'), headers: {} };

/** A server whose answers a test gives, one request at a time. */
function createServer(requests: number) {
  const waiting: { answer(answer?: FakeAnswer): () => void; fail(): void }[] = [];
  const send: Transport = () =>
    new Promise((resolve, reject) => {
      waiting.push({
        answer(answer) {
          const { response, finish } = fakeResponse(answer);
          resolve(response);
          return finish;
        },
        fail: () => reject(new Error('broken')),
      });
    });
  const decorate = createAdaptiveLimit(requests);
  return {
    waiting,
    transports: [decorate(send), decorate(send)] as const,
    send: decorate(send),
    /** Answers one request and reads its body. */
    async answer(answer?: FakeAnswer) {
      waiting.shift()!.answer(answer)();
      await settle();
    },
  };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
}

describe('the limit of requests', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
  afterEach(() => void vi.useRealTimers());

  /** Sends many and gives how many reach the server at a time. */
  const allowedNow = async (server: ReturnType<typeof createServer>, many = 100) => {
    expect(server.waiting).toEqual([]);
    const sent = Array.from({ length: many }, () => server.send(REQUEST));
    await settle();
    const allowed = server.waiting.length;
    return { allowed, sent };
  };
  const drain = async (server: ReturnType<typeof createServer>, answer?: FakeAnswer) => {
    while (server.waiting.length > 0) await server.answer(answer);
  };

  it('lets so many go at a time, of all transports together, in order', async () => {
    const server = createServer(3);
    const done: number[] = [];
    for (let index = 0; index < 7; index++) {
      void server.transports[index % 2]!(REQUEST).then(() => done.push(index));
    }
    await settle();
    expect(server.waiting.length).toBe(3);
    await server.answer();
    expect(server.waiting.length).toBe(3);
    await drain(server);
    expect(done).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it('counts a request until its body is read or discarded', async () => {
    const server = createServer(1);
    const first = server.send(REQUEST);
    void server.send(REQUEST);
    await settle();
    const finish = server.waiting.shift()!.answer();
    await first;
    await settle();
    expect(server.waiting.length, 'while its body is read').toBe(0);
    finish();
    await settle();
    expect(server.waiting.length).toBe(1);
    void server.send(REQUEST);
    server.waiting.shift()!.answer();
    await settle();
    expect(server.waiting.length).toBe(0);
  });

  it('gives back what a request had that failed', async () => {
    const server = createServer(1);
    const failed = server.send(REQUEST);
    void server.send(REQUEST);
    await settle();
    server.waiting.shift()!.fail();
    await expect(failed).rejects.toThrow('broken');
    await settle();
    expect(server.waiting.length).toBe(1);
  });

  it.each([429, 503])('is halved when the server answers %d, at most once a second', async (status) => {
    const server = createServer(16);
    vi.advanceTimersByTime(5_000);
    await allowedNow(server, 16);
    // All that were sent before the cut say the same.
    for (let index = 0; index < 16; index++) await server.answer({ status });
    let { allowed } = await allowedNow(server);
    expect(allowed).toBe(8);
    vi.advanceTimersByTime(1_001);
    await server.answer({ status });
    vi.advanceTimersByTime(999);
    await server.answer({ status });
    while (server.waiting.length > 4) await server.answer({ status });
    expect(server.waiting.length).toBe(4);
    for (let second = 0; second < 10; second++) {
      vi.advanceTimersByTime(1_001);
      await server.answer({ status });
    }
    await drain(server, { status });
    ({ allowed } = await allowedNow(server, 5));
    expect(allowed, 'it never stands still').toBe(1);
    await drain(server);
  });

  it.each([500, 404, 200])('is not cut by %d', async (status) => {
    const server = createServer(8);
    await allowedNow(server, 8);
    await drain(server, { status });
    expect((await allowedNow(server)).allowed).toBe(8);
  });

  it('grows back by one in about as many answers as it has', async () => {
    const server = createServer(16);
    vi.advanceTimersByTime(5_000);
    void server.send(REQUEST);
    await settle();
    await server.answer({ status: 503 });
    const sent = Array.from({ length: 2_000 }, () => server.send(REQUEST));
    void sent;
    await settle();
    const sizes = [server.waiting.length];
    for (let answers = 0; answers < 300; answers++) {
      await server.answer();
      sizes.push(server.waiting.length);
    }
    expect(sizes[0]).toBe(8);
    expect(sizes.indexOf(9)).toBeGreaterThanOrEqual(7);
    expect(sizes.indexOf(9)).toBeLessThanOrEqual(10);
    expect(sizes.indexOf(16)).toBeGreaterThan(60);
    expect(Math.max(...sizes)).toBe(16);
    expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
  });

  describe('of bodies', () => {
    const MIB = 1024 * 1024;
    const put = (size: number): HttpRequest => ({ ...REQUEST, method: 'PUT', body: Buffer.alloc(size) });
    const sendBodies = async (server: ReturnType<typeof createServer>, many = 64) => {
      for (let index = 0; index < many; index++) void server.send(put(MIB / 2)).catch(() => undefined);
      await settle();
    };

    it('lets few bytes go at first, and more as answers are quick', async () => {
      const server = createServer(100);
      await sendBodies(server);
      expect(server.waiting.length).toBe(4);
      for (let index = 0; index < 4; index++) await server.answer();
      expect(server.waiting.length).toBe(8);
      for (let index = 0; index < 8; index++) await server.answer();
      expect(server.waiting.length).toBe(16);
    });

    it('lets fewer go when answers are late', async () => {
      const server = createServer(100);
      await sendBodies(server);
      vi.advanceTimersByTime(6_000);
      for (let index = 0; index < 4; index++) await server.answer();
      expect(server.waiting.length).toBe(2);
    });

    it('lets a body go that is larger than the window, alone', async () => {
      const server = createServer(100);
      for (let index = 0; index < 3; index++) void server.send(put(8 * MIB));
      await settle();
      expect(server.waiting.length).toBe(1);
      await server.answer();
      expect(server.waiting.length).toBe(1);
    });

    it('does not hold up requests without a body', async () => {
      const server = createServer(100);
      for (let index = 0; index < 3; index++) void server.send(put(8 * MIB));
      void server.send(REQUEST);
      await settle();
      expect(server.waiting.length).toBe(2);
    });
  });
});
