import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { HttpRequest } from '#lib/http/transport.js';
import { gather } from '../../support/files.js';
import { useConnections } from '../../support/http-connections.js';
import { answerWith, readRequest, useHttpServers } from '../../support/http-server.js';
import { CERTIFICATE, TLS_KEY } from '../../support/tls.js';

const STALL = 300;

describe('requests with short answers', () => {
  const serve = useHttpServers();
  const ends: (() => void)[] = [];
  afterEach(() => {
    for (const end of ends.splice(0)) end();
  });

  const connect = useConnections();
  const short = (url: URL, more: Partial<HttpRequest> = {}): HttpRequest => ({
    ...{ method: 'GET', url, headers: {}, isShort: true },
    ...more,
  });

  it('go over one connection, one after another, with their bodies', async () => {
    const seen: string[] = [];
    const server = await serve(async (request, response) => {
      const { host, 'accept-encoding': encoding, 'x-a': a } = request.headers;
      seen.push(`${request.method} ${request.url} ${host} ${encoding} ${a} ${await readRequest(request)}`);
      if (request.url === '/chunks') response.writeHead(404).end('no');
      else answerWith(response, 'hello', { headers: { etag: '"x"' } });
    });
    const { send } = connect();
    const put = await send(
      short(new URL('a%20b?c=d', server.url), { method: 'PUT', body: Buffer.from('sent'), headers: { 'x-a': '1' } }),
    );
    const none = await send(short(new URL('chunks', server.url)));
    const head = await send(short(server.url, { method: 'HEAD' }));
    const got = await send(short(server.url));
    expect([put.status, head.headers['content-length'], none.status, none.refusal]).toEqual([200, '5', 404, 'no']);
    expect([Buffer.from(got.whole!).toString(), (await gather(got.body)).toString()]).toEqual(['hello', 'hello']);
    await Promise.all([put, none, head, got].map(({ closed }) => closed));
    const { host } = server.url;
    expect(seen).toEqual([
      `PUT /a%20b?c=d ${host} identity 1 sent`,
      `GET /chunks ${host} identity undefined `,
      `HEAD / ${host} identity undefined `,
      `GET / ${host} identity undefined `,
    ]);
    expect(server.connections()).toBe(1);
  });

  it('are sent again by a client that reads everything, when the answer is long', async () => {
    let requests = 0;
    const body = Buffer.alloc(2_000_000, 'long');
    const { url } = await serve((_, response) => {
      requests++;
      answerWith(response, body);
    });
    const { send } = connect();
    for (let round = 0; round < 4; round++) {
      const response = await send(short(url));
      expect(response.whole).toBeUndefined();
      expect((await gather(response.body)).equals(body)).toBe(true);
    }
    expect(requests).toBe(8);
  });

  it('are sent by that client alone, when a server has given three answers that are not read here', async () => {
    let requests = 0;
    const { url } = await serve(({ socket }) => {
      requests++;
      socket.end('HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\nold');
    });
    const { send } = connect();
    for (let round = 0; round < 5; round++) {
      expect((await gather((await send(short(url))).body)).toString()).toBe('old');
    }
    expect(requests).toBe(3 + 5);
  });

  it('that change something are another try when their answer cannot be read', async () => {
    let requests = 0;
    const { url } = await serve((_, response) => {
      requests++;
      response.socket!.end('HTTP/1.1 200 OK\r\ncontent-length : 0\r\n\r\n');
    });
    await expect(connect().send(short(url, { method: 'PUT', body: Buffer.from('x') }))).rejects.toMatchObject({
      code: 'ECONNRESET',
      message: `\`${url.host}\` answered what is no short answer of HTTP/1.1`,
    });
    expect(requests).toBe(1);
  });

  it('believe nothing of what follows an answer', async () => {
    const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n';
    const server = await serve((request, response) => {
      // The answer to a request that nobody has sent yet.
      if (request.url === '/late') setTimeout(() => response.socket!.write(`${answer}Z`), 20);
      response.socket!.write(`${answer}a`);
    });
    const { send } = connect();
    expect(String.fromCharCode(...(await send(short(new URL('late', server.url)))).whole!)).toBe('a');
    await expect.poll(server.open, { timeout: 60_000 }).toBe(0);
    expect(String.fromCharCode(...(await send(short(server.url))).whole!)).toBe('a');
    expect(server.connections()).toBe(2);
  });

  it('go over TLS, to a server whose certificate is trusted', async () => {
    let connections = 0;
    const server = createServer({ key: TLS_KEY, cert: CERTIFICATE }, (_, response) => answerWith(response, 'hello'));
    server.on('secureConnection', () => connections++).listen(0, '127.0.0.1');
    await once(server, 'listening');
    ends.push(() => server.close().closeAllConnections());
    const url = new URL(`https://localhost:${(server.address() as AddressInfo).port}/`);
    const { send } = connect({ trusted: [CERTIFICATE] });
    for (let round = 0; round < 3; round++) {
      expect(Buffer.from((await send(short(url))).whole!).toString()).toBe('hello');
    }
    expect(connections).toBe(1);
    await expect(connect().send(short(url))).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
  });

  it('over TLS are known to be sent when the answer comes while this process is busy', async () => {
    const program = `const { createServer } = require('node:https');
      createServer({ key: process.argv[1], cert: process.argv[2] }, (q, r) => q.resume().on('end', () => r.writeHead(200, { 'content-length': 0 }).end()))
        .listen(0, '127.0.0.1', function () { console.log(this.address().port); });`;
    const child = spawn(process.execPath, ['-e', program, '--', TLS_KEY, CERTIFICATE], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    ends.push(() => child.kill());
    const [port] = (await once(child.stdout, 'data')) as [Buffer];
    const url = new URL(`https://localhost:${port}`);
    const { send } = connect({ trusted: [CERTIFICATE] });
    for (let round = 0; round < 3; round++) {
      await sleep(1);
      const put = send(short(url, { method: 'PUT', body: Buffer.from('x') }));
      await sleep(1);
      for (const end = performance.now() + 60; performance.now() < end; );
      expect((await put).status).toBe(200);
    }
  });

  it.each(['http', 'https'])('go to the port of %s when the URL names none', async (scheme) => {
    // Nothing is there that listens.
    const sent = connect().send(short(new URL(`${scheme}://127.255.255.254/`)));
    await expect(sent).rejects.toMatchObject({ code: 'ECONNREFUSED', port: scheme === 'http' ? 80 : 443 });
  });

  it('send no header that would be two', async () => {
    const { url } = await serve((_, response) => answerWith(response));
    await expect(connect().send(short(url, { headers: { 'x-a': 'b\r\nx-c: d' } }))).rejects.toThrow(/header/i);
  });

  it.each<readonly [string, (response: ServerResponse) => void, object]>([
    ['without an answer', (response) => response.destroy(), { code: 'ECONNRESET' }],
    ['in the head', (response) => response.socket!.end('HTTP/1.1 200 OK\r\ncontent-le'), { code: 'ECONNRESET' }],
    [
      'in a refusal',
      (response) => response.socket!.end('HTTP/1.1 403 No\r\ncontent-length: 9\r\n\r\nx'),
      { code: 'ECONNRESET' },
    ],
  ])('fail when the connection ends %s', async (_, answer, error) => {
    const { url } = await serve((__, response) => answer(response));
    await expect(connect().send(short(url))).rejects.toMatchObject(error);
  });

  it('have the beginning of a body that breaks off, and what a server says that fails', async () => {
    const { url } = await serve((request, response) => {
      const status = request.url === '/fails' ? 503 : 200;
      response.socket!.end(`HTTP/1.1 ${status} OK\r\ncontent-length: 9\r\n\r\nhalf`);
    });
    const { send } = connect();
    const { body, whole } = await send(short(url));
    const pieces: Uint8Array[] = [];
    const reading = (async () => {
      for await (const piece of body) pieces.push(piece);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect([whole, Buffer.concat(pieces).toString()]).toEqual([undefined, 'half']);
    expect(await send(short(new URL('fails', url)))).toMatchObject({ status: 503, refusal: 'half' });
  });

  it.each(['', 'HTTP/1.1 200 OK\r\ncontent-le'])('are given up when a server stalls after %j', async (begin) => {
    const { url } = await serve((_, response) => void (begin && response.socket!.write(begin)));
    await expect(connect({ stallMs: STALL }).send(short(url))).rejects.toMatchObject({ code: 'ETIMEDOUT' });
  });

  it('use no connection that the server has said it closes', async () => {
    const server = await serve((_, response) => answerWith(response, 'x', { headers: { 'keep-alive': 'timeout=1' } }));
    const { send } = connect();
    for (let round = 0; round < 3; round++) await send(short(server.url));
    expect(server.connections()).toBe(3);
  });

  it('and others have so many connections together, whichever come first', async () => {
    const server = await serve((_, response) => answerWith(response, 'x'));
    const { send } = connect({ connections: 3 });
    const both = [
      () => send(short(server.url)),
      async () => gather((await send({ method: 'GET', url: server.url, headers: {} })).body),
    ];
    for (const each of [...both, ...both]) {
      await Promise.all<unknown>([1, 2, 3].map(() => each()));
      await expect.poll(server.open, { timeout: 60_000 }).toBeLessThanOrEqual(3);
    }
  });

  it('end when they are stopped, with its reason, and let their connections go', async () => {
    const server = await serve((request, response) => request.url === '/wait' || answerWith(response, 'x'));
    const { send, stop } = connect();
    await send(short(server.url));
    const waiting = send(short(new URL('wait', server.url)));
    waiting.catch(() => undefined);
    await sleep(50);
    const reason = new Error('stopped by the user');
    stop.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect.poll(server.open, { timeout: 60_000 }).toBe(0);
  });
});
