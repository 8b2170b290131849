import { once } from 'node:events';
import { Agent, createServer, type IncomingHttpHeaders, request, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { gather, noise } from './files.js';
import { startProxy, useProxy } from './proxy.js';
import { type Fault, PLAIN_FAULTS } from './proxy-faults.js';

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  body?: Buffer;
}

/** Stores what is PUT, gives it back, and keeps what it saw. */
let server: Server;
let target = '';
const objects = new Map<string, Buffer>();
let seen: Seen[] = [];
let agent: Agent;

beforeEach(async () => {
  agent = new Agent({ keepAlive: true });
  objects.clear();
  seen = [];
  server = createServer(async (request, response) => {
    const entry: Seen = {
      method: request.method!,
      path: request.url!,
      headers: request.headers,
      rawHeaders: request.rawHeaders,
    };
    seen.push(entry);
    const body = await gather(request).catch(() => undefined);
    if (body === undefined) return;
    entry.body = body;
    if (request.method === 'PUT') {
      objects.set(request.url!, body);
      response.writeHead(200, 'Fine', { ETag: '"tag"', 'X-Odd-Case': 'b\xe9', 'Content-Length': 0 }).end();
    } else if (request.method === 'DELETE') {
      objects.delete(request.url!);
      response.writeHead(204).end();
    } else {
      const object = objects.get(request.url!);
      if (object === undefined) response.writeHead(404, { 'content-length': 0 }).end();
      else if (request.headers['x-chunked']) response.writeHead(200).end(object.subarray(0));
      else response.writeHead(200, { 'content-length': object.length }).end(object);
    }
  });
  target = await listen(server);
});

afterEach(async () => {
  agent.destroy();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const proxy = useProxy(() => target);
const BIG = noise(3_000_001, 'big');

interface Answered {
  readonly status: number;
  readonly message: string;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  /** What came. */
  readonly body: Buffer;
  /** Why no more came. */
  readonly broken?: string;
}

interface Sending {
  readonly body?: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly via?: string;
}

/** A request with node:http; rejects when there is no answer. */
function send(method: string, path: string, { body, headers, signal, via = proxy().url }: Sending = {}) {
  return new Promise<Answered>((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': body.length };
    const outgoing = request(`${via}${path}`, {
      ...{ method, agent, headers: { ...length, ...headers } },
      ...(signal && { signal }),
    });
    outgoing.once('error', reject);
    outgoing.once('response', (incoming) => {
      outgoing.on('error', () => {}).off('error', reject);
      const pieces: Buffer[] = [];
      const { statusCode, statusMessage, headers, rawHeaders } = incoming;
      const settle = (broken: object) =>
        resolve({
          ...{ status: statusCode!, message: statusMessage!, headers, rawHeaders },
          ...{ body: Buffer.concat(pieces), ...broken },
        });
      incoming.on('data', (piece: Buffer) => pieces.push(piece));
      incoming.once('end', () => settle({}));
      incoming.once('error', (error: NodeJS.ErrnoException) => settle({ broken: error.code }));
    });
    if (headers?.expect === undefined) outgoing.end(body);
    else outgoing.once('continue', () => outgoing.end(body));
  });
}

async function listen(listener: { listen(port: number, host: string): unknown; address(): unknown }): Promise<string> {
  await once(listener.listen(0, '127.0.0.1') as Server, 'listening');
  return `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
}

const codeOf = (attempt: Promise<unknown>) =>
  attempt.then(
    () => 'no error',
    (error: NodeJS.ErrnoException) => error.code,
  );

describe('a request', () => {
  it('arrives as it was sent, and so does the answer', async () => {
    const sent = await send('PUT', '/nix/a%20b?x=1&y=%2F', { body: BIG, headers: { 'X-Amz-Meta-A': 'v', Range: 'r' } });
    expect(sent).toMatchObject({ status: 200, message: 'Fine' });
    expect(sent.rawHeaders).toEqual(expect.arrayContaining(['ETag', '"tag"', 'X-Odd-Case', 'b\xe9']));
    const [put] = seen;
    expect(put).toMatchObject({ method: 'PUT', path: '/nix/a%20b?x=1&y=%2F' });
    expect(put!.headers.host).toBe(`127.0.0.1:${proxy().port}`);
    expect(put!.body!.equals(BIG)).toBe(true);

    const direct = await send('PUT', '/other', { body: BIG, headers: { 'X-Amz-Meta-A': 'v' }, via: target });
    const through = await send('PUT', '/other', { body: BIG, headers: { 'X-Amz-Meta-A': 'v' } });
    const withoutHost = (headers: readonly string[]) => headers.filter((text) => !text.startsWith('127.0.0.1'));
    expect(withoutHost(seen[2]!.rawHeaders)).toEqual(withoutHost(seen[1]!.rawHeaders));
    const withoutDate = (headers: readonly string[]) => headers.filter((text) => !text.endsWith(' GMT'));
    expect(withoutDate(through.rawHeaders)).toEqual(withoutDate(direct.rawHeaders));
  });

  it.each(['GET', 'HEAD', 'DELETE', 'POST', 'PUT'])('may have no body: %s', async (method) => {
    objects.set('/a', Buffer.from('abc'));
    expect((await send(method, '/a')).status).toBe(method === 'DELETE' ? 204 : 200);
    expect(seen[0]!.body).toHaveLength(0);
  });

  it('streams chunked bodies both ways', async () => {
    const pieces = (async function* () {
      for (let at = 0; at < 40; at++) yield noise(10_000, `${at}`);
    })();
    const put = await fetch(`${proxy().url}/a`, { method: 'PUT', body: pieces, duplex: 'half' } as RequestInit);
    expect(put.status).toBe(200);
    const got = await fetch(`${proxy().url}/a`, { headers: { 'x-chunked': '1' } });
    expect(Buffer.from(await got.arrayBuffer()).equals(objects.get('/a')!)).toBe(true);
    expect(proxy().requests()).toMatchObject([{ bodyBytesUp: 400_000 }, { bodyBytesDown: 400_000 }]);
  });

  it('waits for the word of the server when it asks for that', async () => {
    const sent = await send('PUT', '/a', { body: BIG, headers: { expect: '100-continue' } });
    expect(sent.status).toBe(200);
    expect(objects.get('/a')!.equals(BIG)).toBe(true);
  });

  it('is held back when the other side is slow', async () => {
    objects.set('/a', noise(64_000_000));
    const socket = connect(proxy().port, '127.0.0.1');
    socket.write('GET /a HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'readable');
    await setTimeout(300);
    expect(proxy().totals().bytesDown).toBeLessThan(32_000_000);
    socket.destroy();
  });

  it('breaks when the server dies, and finds it gone', async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    expect(await codeOf(send('GET', '/a'))).toBe('ECONNRESET');
  });

  it('brings the early answer of a server that does not read it, or a broken connection, but never hangs', async () => {
    const hasty = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.end('HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n', () => socket.destroy());
    });
    const before = await startProxy(await listen(hasty));
    for (let times = 0; times < 20; times++) {
      const outcome = await send('PUT', '/a', { body: BIG, via: before.url }).then(
        ({ status }) => status,
        ({ code }) => code,
      );
      expect([503, 'ECONNRESET', 'EPIPE']).toContain(outcome);
    }
    await before.close();
    hasty.close();
  });

  it('ends at the server when the client goes away', async () => {
    const socket = connect(proxy().port, '127.0.0.1');
    socket.write('PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegin');
    await expect.poll(() => seen.length).toBe(1);
    socket.resetAndDestroy();
    await expect.poll(() => openConnections(server)).toBe(0);
    expect(objects.size).toBe(0);
    expect(proxy().requests()).toMatchObject([{ status: undefined, bodyBytesUp: 5 }]);
  });

  it('loses its idle connection when the server closes it', async () => {
    const socket = connect(proxy().port, '127.0.0.1');
    socket.write('GET /a HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'data');
    server.closeIdleConnections();
    await once(socket, 'end');
    socket.destroy();
  });
});

describe('the counts', () => {
  it('are exact', async () => {
    await send('PUT', '/a?q', { body: BIG });
    await send('GET', '/a?q');
    await send('HEAD', '/a?q');
    await send('GET', '/none', { headers: { 'x-mark': 'm' } });
    const requests = proxy().requests();
    expect(requests).toMatchObject([
      { method: 'PUT', path: '/a?q', status: 200, bodyBytesUp: BIG.length, bodyBytesDown: 0, fault: undefined },
      { method: 'GET', path: '/a?q', status: 200, bodyBytesUp: 0, bodyBytesDown: BIG.length },
      { method: 'HEAD', path: '/a?q', status: 200, bodyBytesUp: 0, bodyBytesDown: 0 },
      { method: 'GET', path: '/none', status: 404, bodyBytesUp: 0, bodyBytesDown: 0, headers: { 'x-mark': 'm' } },
    ]);
    const { connections, bytesUp, bytesDown, requests: count } = proxy().totals();
    expect({ connections, count }).toEqual({ connections: 1, count: 4 });
    const [socket] = Object.values(agent.freeSockets).flatMap((sockets) => sockets ?? []);
    expect({ bytesUp, bytesDown }).toEqual({ bytesUp: socket!.bytesWritten, bytesDown: socket!.bytesRead });

    agent.destroy();
    await expect.poll(() => openConnections(server)).toBe(0);
    expect(proxy().totals()).toMatchObject({ bytesUp, bytesDown });
  });

  it('begin anew', async () => {
    await send('PUT', '/a', { body: BIG });
    proxy().reset();
    expect(proxy().requests()).toEqual([]);
    expect(proxy().totals()).toEqual({ connections: 0, requests: 0, bytesUp: 0, bytesDown: 0 });
    await send('GET', '/a');
    expect(proxy().totals().connections).toBe(0);
    expect(proxy().totals().bytesDown).toBeGreaterThan(BIG.length);
    expect(proxy().totals().bytesUp).toBeLessThan(1000);
  });

  it('tell of connections', async () => {
    await Promise.all([1, 2, 3].map(() => send('GET', '/a')));
    expect(proxy().totals().connections).toBe(3);
  });
});

describe('a fault', () => {
  const seenBodies = () => seen.map(({ body }) => body?.length);

  beforeEach(() => {
    objects.set('/big', BIG);
    objects.set('/empty', Buffer.alloc(0));
  });

  it('answers before the request is read', async () => {
    proxy().fail({ fault: { status: 503, retryAfter: 7 } });
    const got = await send('GET', '/big');
    expect(got).toMatchObject({ status: 503, headers: { 'retry-after': '7', connection: 'close' } });
    expect(got.body.toString()).toContain('<Code>ServiceUnavailable</Code>');
    proxy().fail({ fault: { status: 500, body: 'no' } });
    const outcome = await send('PUT', '/a', { body: BIG }).then(
      ({ status }) => status,
      ({ code }) => code,
    );
    expect([500, 'ECONNRESET', 'EPIPE']).toContain(outcome);
    expect(seen).toEqual([]);
    expect(proxy().requests()).toMatchObject([
      { status: 503, bodyBytesDown: got.body.length, fault: { status: 503 } },
      { status: 500, bodyBytesUp: 0, bodyBytesDown: 2 },
    ]);
    expect((await send('GET', '/big')).status).toBe(200);
  });

  it.each([{}, { expect: '100-continue' }])('answers after the request was read %o', async (headers) => {
    proxy().fail({ fault: { status: 429, body: 'slow', readBody: true } });
    const put = await send('PUT', '/a', { body: BIG, headers: headers as Record<string, string> });
    expect(put).toMatchObject({ status: 429, body: Buffer.from('slow') });
    expect((await send('PUT', '/a', { body: BIG })).status).toBe(200);
    expect(seenBodies()).toEqual([BIG.length]);
    expect(proxy().requests()[0]).toMatchObject({ status: 429, bodyBytesUp: BIG.length, bodyBytesDown: 4 });
    expect(proxy().totals().connections).toBe(1);
  });

  it('answers HEAD without a body', async () => {
    proxy().fail({ fault: { status: 500 } });
    expect(await send('HEAD', '/big')).toMatchObject({ status: 500, body: Buffer.alloc(0) });
    expect(proxy().requests()).toMatchObject([{ status: 500, bodyBytesDown: 0 }]);
  });

  it('resets before', async () => {
    proxy().fail({ fault: 'reset-before', times: 2 });
    expect(await codeOf(send('GET', '/big'))).toBe('ECONNRESET');
    expect(await codeOf(send('PUT', '/a', { body: BIG }))).toMatch(/ECONNRESET|EPIPE/);
    expect(seen).toEqual([]);
    expect(proxy().requests()).toMatchObject([{ status: undefined, fault: 'reset-before' }, {}]);
  });

  it('resets after the server did it', async () => {
    proxy().fail({ fault: 'reset-after' });
    expect(await codeOf(send('PUT', '/a', { body: BIG }))).toBe('ECONNRESET');
    expect(objects.get('/a')!.equals(BIG)).toBe(true);
    expect(proxy().requests()).toMatchObject([{ status: undefined, bodyBytesUp: BIG.length, fault: 'reset-after' }]);
  });

  it('resets midway', async () => {
    proxy().fail({ fault: 'reset-midway', times: 4 });
    const got = await send('GET', '/big');
    expect(got).toMatchObject({ status: 200, broken: 'ECONNRESET' });
    expect(got.body.length).toBeLessThanOrEqual(BIG.length >> 1);
    expect(BIG.subarray(0, got.body.length).equals(got.body)).toBe(true);
    expect(await codeOf(send('PUT', '/a', { body: BIG }))).toMatch(/ECONNRESET|EPIPE/);
    expect(await codeOf(send('HEAD', '/big'))).toBe('ECONNRESET');
    expect(await codeOf(send('GET', '/empty'))).toBe('ECONNRESET');
    await expect.poll(() => openConnections(server)).toBe(0);
    expect(objects.has('/a')).toBe(false);
    expect(seen).toHaveLength(4);
    const [down, up, head] = proxy().requests();
    expect(down!.bodyBytesDown).toBe(BIG.length >> 1);
    expect(up!.bodyBytesUp).toBeGreaterThanOrEqual(BIG.length >> 1);
    expect(up!.bodyBytesUp).toBeLessThan(BIG.length);
    expect(head).toMatchObject({ status: undefined, fault: 'reset-midway' });
  });

  it('truncates', async () => {
    proxy().fail({ fault: 'truncate', times: 4 });
    const got = await send('GET', '/big');
    expect(got).toMatchObject({ status: 200, broken: 'ECONNRESET', headers: { 'content-length': `${BIG.length}` } });
    expect(got.body.equals(BIG.subarray(0, BIG.length >> 1))).toBe(true);
    const chunked = await send('GET', '/big', { headers: { 'x-chunked': '1' } });
    expect(chunked.broken).toBe('ECONNRESET');
    expect(chunked.body.length).toBeGreaterThan(0);
    expect(await codeOf(send('HEAD', '/big'))).toBeDefined();
    expect(await codeOf(send('PUT', '/a', { body: BIG }))).not.toBe('no error');
    expect(objects.has('/a')).toBe(true);
    await expect(fetch(`${proxy().url}/big`).then((response) => response.arrayBuffer())).resolves.toBeDefined();
    proxy().fail({ fault: 'truncate' });
    await expect(fetch(`${proxy().url}/big`).then((response) => response.arrayBuffer())).rejects.toThrow();
  });

  it('truncates silently', async () => {
    proxy().fail({ fault: 'truncate-silently', times: 4 });
    const got = await send('GET', '/big');
    expect(got).toMatchObject({ status: 200, headers: { 'content-length': `${BIG.length >> 1}` } });
    expect(got.broken).toBeUndefined();
    expect(got.body.equals(BIG.subarray(0, BIG.length >> 1))).toBe(true);
    const chunked = await send('GET', '/big', { headers: { 'x-chunked': '1' } });
    expect(chunked.broken).toBeUndefined();
    expect(chunked.body.length).toBeLessThan(BIG.length);
    expect((await send('HEAD', '/big')).headers['content-length']).toBe(`${BIG.length}`);
    expect((await send('GET', '/empty')).status).toBe(200);
    expect((await send('GET', '/big')).body.equals(BIG)).toBe(true);
    expect(proxy().totals().connections).toBe(1);
    expect(
      proxy()
        .requests()
        .map(({ fault }) => fault),
    ).toEqual([...['truncate-silently', 'truncate-silently'], ...[undefined, undefined, undefined]]);
  });

  it('flips a byte', async () => {
    const flippedAt = (bytes: Uint8Array) => {
      const at = BIG.findIndex((byte, index) => bytes[index] !== byte);
      expect(bytes).toHaveLength(BIG.length);
      expect(BIG.subarray(at + 1).equals(bytes.subarray(at + 1))).toBe(true);
      return at;
    };
    proxy().fail({ fault: { flip: 0 } });
    expect(flippedAt((await send('GET', '/big')).body)).toBe(0);
    proxy().fail({ fault: { flip: 2_000_000 } });
    expect(flippedAt((await send('GET', '/big', { headers: { 'x-chunked': '1' } })).body)).toBe(2_000_000);
    proxy().fail({ fault: { flip: BIG.length - 1, direction: 'up' } });
    expect((await send('PUT', '/a', { body: BIG })).status).toBe(200);
    expect(flippedAt(objects.get('/a')!)).toBe(BIG.length - 1);
    expect(objects.get('/big')!.equals(noise(BIG.length, 'big'))).toBe(true);
    proxy().fail({ fault: { flip: BIG.length } });
    expect((await send('GET', '/big')).body.equals(BIG)).toBe(true);
    expect(
      proxy()
        .requests()
        .map(({ fault }) => fault !== undefined),
    ).toEqual([true, true, true, false]);
  });

  it('stalls in the answer', async () => {
    const stalledAfter = async (sending: (signal: AbortSignal) => Promise<unknown>, there: () => boolean) => {
      proxy().fail({ fault: 'stall' });
      const client = new AbortController();
      let outcome: unknown;
      const sent = sending(client.signal).finally(() => {
        outcome = 'ended';
      });
      await expect.poll(there).toBe(true);
      await setTimeout(100);
      expect(outcome).toBeUndefined();
      client.abort();
      return sent;
    };
    const last = () => proxy().requests().at(-1);
    const got = (await stalledAfter(
      (signal) => send('GET', '/big', { signal }),
      () => last()?.bodyBytesDown === BIG.length >> 1,
    )) as Answered;
    expect(got).toMatchObject({ status: 200, broken: 'ECONNRESET' });
    expect(got.body.equals(BIG.subarray(0, got.body.length))).toBe(true);
    const head = stalledAfter(
      (signal) => send('HEAD', '/big', { signal }),
      () => seen.length === 2,
    );
    expect(await codeOf(head)).toBe('ABORT_ERR');
    const put = stalledAfter(
      (signal) => send('PUT', '/a', { body: BIG, signal }),
      () => objects.has('/a'),
    );
    expect(await codeOf(put)).toBe('ABORT_ERR');
    expect(objects.get('/a')!.equals(BIG)).toBe(true);
    await expect.poll(() => openConnections(server)).toBe(0);
  });

  it('stalls before', async () => {
    proxy().fail({ fault: 'stall-before' });
    const client = new AbortController();
    const put = codeOf(send('PUT', '/a', { body: BIG, signal: client.signal }));
    await expect.poll(() => proxy().requests()[0]?.bodyBytesUp).toBe(BIG.length);
    client.abort();
    expect(await put).toBe('ABORT_ERR');
    expect(seen).toEqual([]);
    expect(proxy().requests()).toMatchObject([{ status: undefined, fault: 'stall-before' }]);
  });

  it('delays', async () => {
    proxy().fail({ fault: { delay: 200 } });
    const start = performance.now();
    expect((await send('PUT', '/a', { body: BIG })).status).toBe(200);
    expect(performance.now() - start).toBeGreaterThan(190);
  });

  it('delays no longer than the client waits', async () => {
    proxy().fail({ fault: { delay: 1500 } });
    const client = new AbortController();
    const put = codeOf(send('PUT', '/b', { body: Buffer.from('b'), signal: client.signal }));
    await expect.poll(() => proxy().requests().length, { interval: 5 }).toBe(1);
    client.abort();
    expect(await put).toBe('ABORT_ERR');
    await setTimeout(1600);
    expect(seen).toEqual([]);
  });
});

describe('a rule', () => {
  const statuses = () =>
    proxy()
      .requests()
      .map(({ status }) => status);

  it('waits, then holds so many times', async () => {
    proxy().fail({ fault: { status: 500 }, match: ({ method }) => method === 'GET', skip: 1, times: 2 });
    for (const method of ['GET', 'PUT', 'GET', 'PUT', 'GET', 'GET']) await send(method, '/a');
    expect(statuses()).toEqual([404, 200, 500, 200, 500, 200]);
  });

  it('comes before later ones, and ends when all is healed', async () => {
    proxy().fail({ fault: { status: 501 }, match: ({ path }) => path === '/b' });
    proxy().fail({ fault: { status: 502 }, times: Number.POSITIVE_INFINITY });
    for (const path of ['/a', '/b', '/b']) await send('GET', path);
    proxy().heal();
    await send('GET', '/a');
    expect(statuses()).toEqual([502, 501, 502, 404]);
  });
});

describe('chaos', () => {
  const faults: readonly Fault[] = [{ status: 500 }, 'reset-before', 'reset-after'];
  const run = async (seed: number, concurrency: number, timesEach = Number.POSITIVE_INFINITY) => {
    proxy().reset();
    proxy().chaos({ seed, probability: 0.4, faults, timesEach });
    const paths = Array.from({ length: 60 }, (_, index) => `/${index % 20}?uploadId=${Math.random()}`);
    const worker = async () => {
      for (let path = paths.pop(); path !== undefined; path = paths.pop()) await send('GET', path).catch(() => {});
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
    const outcomes = proxy()
      .requests()
      .map(({ path, fault }) => [path.replace(/\?.*/, ''), fault] as const);
    // Requests of one path keep their order; paths need not.
    return Array.from({ length: 20 }, (_, n) =>
      outcomes.filter(([path]) => path === `/${n}`).map(([, fault]) => fault),
    );
  };

  it('is the same for the same seed, whatever the concurrency', async () => {
    const first = await run(1, 1);
    expect(await run(1, 8)).toEqual(first);
    expect(await run(2, 1)).not.toEqual(first);
    const count = first.flat().filter((fault) => fault !== undefined).length;
    expect(count).toBeGreaterThan(10);
    expect(count).toBeLessThan(40);
    expect(new Set(first.flat())).toEqual(new Set([undefined, ...faults]));
  });

  it('spares a request that had its share', async () => {
    const outcomes = await run(1, 1, 1);
    expect(Math.max(...outcomes.map((path) => path.filter((fault) => fault !== undefined).length))).toBe(1);
  });
});

describe('a paused proxy', () => {
  it('refuses connections, breaks those it had, and comes back on its port', async () => {
    proxy().fail({ fault: 'stall' });
    objects.set('/big', BIG);
    const stalled = send('GET', '/big');
    await expect.poll(() => proxy().requests()[0]?.bodyBytesDown).toBe(BIG.length >> 1);
    await proxy().pause();
    expect((await stalled).broken).toBe('ECONNRESET');
    expect(await codeOf(send('GET', '/big'))).toBe('ECONNREFUSED');
    await proxy().pause();
    await proxy().resume();
    await proxy().resume();
    expect((await send('GET', '/big')).body.equals(BIG)).toBe(true);
  });
});

describe('a closed proxy', () => {
  it('has no connection left, whatever went on', async () => {
    const busy = await startProxy(target);
    objects.set('/big', BIG);
    const waiting: Promise<unknown>[] = [];
    for (const fault of [...PLAIN_FAULTS, { delay: 60_000 }, { status: 500 }, { flip: 1 }] satisfies Fault[]) {
      busy.fail({ fault, times: 2 });
      for (const method of ['GET', 'PUT']) waiting.push(codeOf(send(method, '/big', { body: BIG, via: busy.url })));
      await expect.poll(() => busy.requests().length).toBe(waiting.length);
    }
    const idle = connect(busy.port, '127.0.0.1') as Socket;
    await once(idle, 'connect');
    idle.on('error', () => {}).resume();
    await busy.close();
    await busy.close();
    await Promise.all(waiting);
    await expect.poll(() => openConnections(server)).toBe(0);
    agent.destroy();
    expect(await codeOf(send('GET', '/', { via: busy.url }))).toBe('ECONNREFUSED');
    // Of what would keep the process alive, only the server and the other proxy are left.
    await expect.poll(openHandles).toEqual(['TCPServerWrap', 'TCPServerWrap']);
  });
});

function openHandles(): readonly string[] {
  return process.getActiveResourcesInfo().filter((name) => /^TCP/.test(name));
}

function openConnections(of: Server): Promise<number> {
  return new Promise((resolve, reject) =>
    of.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  );
}
