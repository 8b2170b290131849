import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { HttpResponse } from '#lib/http/transport.js';
import { gather, noise } from '../../support/files.js';
import { useConnections } from '../../support/http-connections.js';
import { answerWith, getRequest, readRequest, useHttpServers } from '../../support/http-server.js';

const STALL = 300;

/** Where a busy machine must not look like a server that stalls. */
const PATIENT = 1_500;

describe('connections', () => {
  const serve = useHttpServers();
  const ends: (() => void)[] = [];
  afterEach(() => {
    for (const end of ends.splice(0)) end();
  });

  const connect = useConnections();
  const textOf = async ({ body }: HttpResponse) => (await gather(body)).toString();

  it('give the status, the headers and the body of an answer', async () => {
    const { url } = await serve((_, response) => answerWith(response, 'hello', { headers: { etag: '"x"' } }));
    const response = await connect().send(getRequest(url));
    expect([response.status, response.headers.etag, response.refusal]).toEqual([200, '"x"', undefined]);
    expect(await textOf(response)).toBe('hello');
    await response.closed;
  });

  it('let an answer go whose body never comes', async () => {
    const { url } = await serve((_, response) => void response.writeHead(200, { 'content-length': 5 }).flushHeaders());
    const response = await connect({ stallMs: PATIENT }).send({
      method: 'PUT',
      url,
      headers: {},
      body: Buffer.from('x'),
    });
    response.discard();
    await response.closed;
  });

  it('are stopped without an error of nobody, just after an answer to HEAD', async () => {
    const { url } = await serve((_, response) => response.writeHead(200, { 'content-length': 64 * 1024 * 1024 }).end());
    for (let round = 0; round < 5; round++) {
      const { send, stop } = connect();
      (await send({ ...getRequest(url), method: 'HEAD' })).discard();
      stop.abort();
    }
    await sleep(50);
  });

  it('fail when the connection is closed without an answer, or for another protocol', async () => {
    const { url } = await serve((_, response) => {
      response.socket!.end('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n');
    });
    await expect(connect().send(getRequest(url))).rejects.toMatchObject({ code: 'ECONNRESET' });
  });

  it('do not believe that what was not sent was stored', async () => {
    const { url } = await serve((_, response) => answerWith(response));
    const endless = async function* () {
      for (let at = 0; at < 200; at++) yield Buffer.alloc(1024 * 1024);
    };
    const body = { size: 200 * 1024 * 1024, open: endless };
    await expect(connect().send({ method: 'PUT', url, headers: {}, body })).rejects.toThrow();
  });

  it('send a body of bytes or of a stream, with its length, and ask for no compression', async () => {
    const seen: (readonly [string | undefined, string | undefined, string])[] = [];
    const { url } = await serve(async (request, response) => {
      const { 'content-length': length, 'accept-encoding': encoding } = request.headers;
      seen.push([length, encoding, (await readRequest(request)).toString()]);
      answerWith(response);
    });
    const { send } = connect();
    const open = async function* () {
      yield Buffer.from('two ');
      yield Buffer.from('pieces');
    };
    for (const body of [Buffer.from('bytes'), { size: 10, open }, new Uint8Array()]) {
      (await send({ method: 'PUT', url, headers: {}, body })).discard();
    }
    expect(seen).toEqual([
      ['5', 'identity', 'bytes'],
      ['10', 'identity', 'two pieces'],
      ['0', 'identity', ''],
    ]);
  });

  it.each<readonly [string, (response: ServerResponse) => void, (response: HttpResponse) => unknown]>([
    ['a body that is read', (response) => answerWith(response, 'x'.repeat(70_000)), (response) => textOf(response)],
    ['a small body that is let go', (response) => answerWith(response, 'x'), (response) => response.discard()],
    ['no body', (response) => void response.writeHead(204).end(), (response) => response.discard()],
    [
      'a small refusal',
      (response) => answerWith(response, '<Error/>', { status: 404 }),
      (response) => response.discard(),
    ],
    [
      'a refusal without a length',
      (response) => void response.writeHead(503).end('<Error/>'),
      (response) => response.discard(),
    ],
  ])('are used again after %s', async (_, answer, use) => {
    const server = await serve((__, response) => answer(response));
    const { send } = connect();
    for (let round = 0; round < 5; round++) {
      const response = await send(getRequest(server.url));
      await use(response);
      await response.closed;
      await sleep(5);
    }
    expect(server.connections()).toBe(1);
  });

  it('are used again after HEAD, however large the object is', async () => {
    const server = await serve((_, response) => void response.writeHead(200, { 'content-length': 10 ** 9 }).end());
    const { send } = connect();
    for (let round = 0; round < 5; round++) {
      const response = await send({ ...getRequest(server.url), method: 'HEAD' });
      expect(response.headers['content-length']).toBe('1000000000');
      response.discard();
      await response.closed;
    }
    expect(server.connections()).toBe(1);
  });

  it('are given up, not read to the end, when a large body is let go', async () => {
    let sent = 0;
    const server = await serve(async (_, response) => {
      response.writeHead(200, { 'content-length': 500_000_000 });
      for (let round = 0; round < 500 && !response.destroyed; round++) {
        sent += 1_000_000;
        if (!response.write(noise(1_000_000))) await Promise.race([once(response, 'drain'), once(response, 'close')]);
      }
    });
    const response = await connect().send(getRequest(server.url));
    response.discard();
    await response.closed;
    expect(sent).toBeLessThan(100_000_000);
    const other = await connect().send(getRequest(server.url));
    for await (const _ of other.body) break;
    await other.closed;
    expect(sent).toBeLessThan(200_000_000);
  });

  it('read at most 64 KiB of a refusal', async () => {
    const { url } = await serve((_, response) => answerWith(response, 'é'.repeat(200_000), { status: 500 }));
    const { refusal, status } = await connect().send(getRequest(url));
    expect(status).toBe(500);
    expect(Buffer.byteLength(refusal!)).toBeLessThanOrEqual(64 * 1024 + 3);
    expect(refusal!.length).toBeGreaterThan(32_000);
  });

  it('tell the status when a refusal breaks off', async () => {
    const { url } = await serve((_, response) => {
      response.writeHead(503, { 'content-length': 100 });
      response.write('<Error>', () => response.destroy());
    });
    const response = await connect().send(getRequest(url));
    expect([response.status, response.refusal]).toEqual([503, '<Error>']);
    await response.closed;
  });

  it('are at most so many to one server', async () => {
    let [now, most] = [0, 0];
    const server = await serve(async (_, response) => {
      most = Math.max(most, ++now);
      await sleep(20);
      now--;
      answerWith(response, 'x');
    });
    const { send } = connect({ connections: 3 });
    await Promise.all(Array.from({ length: 12 }, async () => textOf(await send(getRequest(server.url)))));
    expect([most, server.connections()]).toEqual([3, 3]);
  });

  it('are closed together', async () => {
    const server = await serve((_, response) => answerWith(response, 'x'));
    const { send, close } = connect();
    await Promise.all([1, 2, 3].map(async () => textOf(await send(getRequest(server.url)))));
    expect(server.open()).toBeGreaterThan(0);
    close();
    await expect.poll(server.open, { interval: 5 }).toBe(0);
  });

  describe('that stall', () => {
    const expectStall = async (running: Promise<unknown>, stallMs = STALL) => {
      const start = performance.now();
      await expect(running).rejects.toMatchObject({ code: 'ETIMEDOUT' });
      const ms = performance.now() - start;
      expect(ms).toBeGreaterThan(stallMs - 20);
      expect(ms).toBeLessThan(stallMs + 30_000);
    };

    it('are given up when no answer comes', async () => {
      const { url } = await serve(() => undefined);
      await expectStall(connect({ stallMs: STALL }).send(getRequest(url)));
    });

    it('are given up when nothing more of the head comes', async () => {
      const { url } = await serve(({ socket }) => void socket.write('HTTP/1.1 200 OK\r\ncontent-le'));
      await expectStall(connect({ stallMs: STALL }).send(getRequest(url)));
    });

    it('are given up when nothing more of the body comes', async () => {
      const { url } = await serve((_, response) => {
        response.writeHead(200, { 'content-length': 10 });
        response.write('half ');
      });
      const response = await connect({ stallMs: PATIENT }).send(getRequest(url));
      await expectStall(gather(response.body), PATIENT);
      await response.closed;
    });

    it('are given up when a refusal stalls, with its status', async () => {
      const { url } = await serve((_, response) => {
        response.writeHead(500, { 'content-length': 10 });
        response.write('half ');
      });
      expect((await connect({ stallMs: PATIENT }).send(getRequest(url))).status).toBe(500);
    });

    it('are given up when the server does not read what is sent', async () => {
      const { url } = await serve((request) => void request.pause());
      const body = noise(50_000_000);
      await expectStall(connect({ stallMs: STALL }).send({ method: 'PUT', url, headers: {}, body }));
    });

    it('are given up when the machine does not take the connection', async () => {
      const { port, end } = await listenWithoutAccepting();
      ends.push(end);
      await expectStall(connect({ stallMs: STALL }).send(getRequest(`http://127.0.0.1:${port}/`)));
    });

    it('are not, while bytes come or go slowly, or the reader is slow', async () => {
      const slowly = async (_: IncomingMessage, response: ServerResponse) => {
        response.writeHead(200, { 'content-length': 200_008 });
        for (let round = 0; round < 8; round++) {
          response.write('x');
          await sleep(PATIENT / 6);
        }
        response.end(noise(200_000));
      };
      const { url } = await serve(slowly);
      const response = await connect({ stallMs: PATIENT }).send(getRequest(url));
      let size = 0;
      for await (const piece of response.body) {
        if (size === 8) await sleep(PATIENT * 1.2);
        size += piece.length;
      }
      expect(size).toBe(200_008);
      const reader = await serve(async (request, answer) => {
        let read = 0;
        for await (const piece of request) {
          read += (piece as Buffer).length;
          if (read % 5 === 0) await sleep(1);
        }
        answerWith(answer, String(read));
      });
      const open = async function* () {
        for (let round = 0; round < 8; round++) {
          await sleep(PATIENT / 6);
          yield Buffer.from('12345');
        }
      };
      const request = { method: 'PUT', url: reader.url, headers: {}, body: { size: 40, open } } as const;
      expect(await textOf(await connect({ stallMs: PATIENT }).send(request))).toBe('40');
    });
  });

  describe('that are stopped', () => {
    it('end all requests, waiting or reading, and begin no other', async () => {
      const { url } = await serve((request, response) => {
        if (request.url === '/wait') return;
        response.writeHead(200, { 'content-length': 10 });
        response.write('half ');
      });
      const { send, stop } = connect({ connections: 2 });
      const waiting = [1, 2, 3, 4].map(() => send(getRequest(new URL('wait', url))));
      const reading = connect();
      const response = await reading.send(getRequest(url));
      const body = gather(response.body);
      for (const each of [...waiting, body]) each.catch(() => undefined);
      await sleep(50);
      const reason = new Error('stopped by the user');
      stop.abort(reason);
      reading.stop.abort(reason);
      for (const each of waiting) await expect(each).rejects.toBe(reason);
      await expect(body).rejects.toThrow();
      await response.closed;
      await expect(send(getRequest(url))).rejects.toBe(reason);
    });
  });

  describe('that the server answers before all is sent', () => {
    const upload = (url: URL, opened: { done: boolean }) => ({
      ...({ method: 'PUT', url, headers: {} } as const),
      body: {
        size: 500_000_000,
        async *open() {
          try {
            for (let round = 0; round < 500; round++) yield noise(1_000_000);
          } finally {
            opened.done = true;
          }
        },
      },
    });

    it('give the answer, and let go of the body', async () => {
      const { url } = await serve((_, response) => {
        answerWith(response, '<Error><Code>SlowDown</Code></Error>', { status: 503, headers: { connection: 'close' } });
      });
      const opened = { done: false };
      const outcome = await connect()
        .send(upload(url, opened))
        .catch((error: NodeJS.ErrnoException) => error);
      // The answer may be lost with the connection: both are tried again.
      if (outcome instanceof Error) expect(['EPIPE', 'ECONNRESET']).toContain(outcome.code);
      else expect([outcome.status, outcome.refusal]).toEqual([503, '<Error><Code>SlowDown</Code></Error>']);
      await expect.poll(() => opened.done, { interval: 5 }).toBe(true);
    });

    it('give the answer of a server that keeps the connection, too', async () => {
      const { url } = await serve((_, response) => answerWith(response, 'no', { status: 403 }));
      const opened = { done: false };
      const response = await connect().send(upload(url, opened));
      expect([response.status, response.refusal]).toEqual([403, 'no']);
      await expect.poll(() => opened.done, { interval: 5 }).toBe(true);
    });

    it('fail with what is wrong with the body itself', async () => {
      const { url } = await serve(async (request, response) => {
        await readRequest(request).catch(() => undefined);
        answerWith(response);
      });
      const open = async function* () {
        yield Buffer.from('half');
        throw new Error('the file is gone');
      };
      const request = { method: 'PUT', url, headers: {}, body: { size: 8, open } } as const;
      await expect(connect().send(request)).rejects.toThrow('the file is gone');
    });
  });

  it('fail with the code of what happened', async () => {
    const server = createServer((socket: Socket) => void socket.resetAndDestroy());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { readonly port: number };
    const url = `http://127.0.0.1:${port}/`;
    await expect(connect().send(getRequest(url))).rejects.toMatchObject({ code: 'ECONNRESET' });
    server.close();
    await once(server, 'close');
    await expect(connect().send(getRequest(url))).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    const https = await serve((_, response) => answerWith(response));
    const tls = `https://127.0.0.1:${https.url.port}/`;
    await expect(connect().send(getRequest(tls))).rejects.toMatchObject({ code: 'EPROTO' });
  });
});

/** A port that listens and whose queue is full: further connections hang, as with a host that drops packets. */
async function listenWithoutAccepting(): Promise<{ readonly port: number; readonly end: () => void }> {
  const script = `
    const net = require('node:net');
    const server = net.createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      require('node:fs').writeSync(1, server.address().port + '\\n');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(createInterface(child.stdout), 'line');
  const { connect } = await import('node:net');
  const fillers = Array.from({ length: 4 }, () => connect(Number(line), '127.0.0.1').on('error', () => undefined));
  await sleep(100);
  return {
    port: Number(line),
    end() {
      for (const filler of fillers) filler.destroy();
      child.kill('SIGKILL');
    },
  };
}
