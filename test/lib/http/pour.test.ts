import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { openConnections } from '#lib/http/connections/connections.js';
import { noise } from '../../support/files.js';
import { getRequest } from '../../support/http-server.js';
import { CERTIFICATE, TLS_KEY } from '../../support/tls.js';

const SIZE = 5_000_003;
const BEGUN = 4_500_000;
const BODY = noise(SIZE);
/** Where a busy machine must not look like a server that stalls. */
const STALL = 1_500;

/** What a server writes in answer to each request. */
type Answer = (socket: Socket) => void;

describe('a body in memory that is given', () => {
  const ends: (() => unknown)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });

  /** The answer, and how many connections have come. */
  const ask = async (answer: Answer, { stallMs = 20_000, tls = false } = {}) => {
    const sockets = new Set<Socket>();
    const serve = (socket: Socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined).on('data', () => answer(socket));
    };
    const server = tls ? createTlsServer({ cert: CERTIFICATE, key: TLS_KEY }, serve) : createServer(serve);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as { port: number };
    const authorities = async () => ({ trusted: [CERTIFICATE], unusable: [] });
    const { signal } = new AbortController();
    const { send, close } = openConnections({ connections: 4, stallMs, signal, authorities, env: {} });
    ends.push(close, () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const get = () => send(getRequest(new URL(`${tls ? 'https://localhost' : 'http://127.0.0.1'}:${port}/nar`)));
    return { get, response: await get(), connections: () => sockets.size };
  };
  const head = (size: number, more = '') => `HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n${more}\r\n`;
  const whole: Answer = (socket) => {
    socket.write(head(SIZE));
    socket.write(BODY);
  };

  /** All of it, through memory that is used again; pieces are as large as the memory, but for the last. */
  const pour = async (
    body: Awaited<ReturnType<typeof ask>>['response']['body'],
    memory: Uint8Array,
    most = Infinity,
  ) => {
    const pieces: Buffer[] = [];
    let size = 0;
    for await (const piece of body.into!(() => memory)) {
      expect(piece.buffer).toBe(memory.buffer);
      pieces.push(Buffer.from(piece));
      size += piece.length;
      if (size >= most) break;
    }
    expect(pieces.slice(0, -1).every(({ length }) => length === memory.length)).toBe(true);
    return Buffer.concat(pieces);
  };
  const memoryOf = (size: number) => new Uint8Array(new SharedArrayBuffer(size + 64), 64);

  const followedBy =
    (first: Answer, then: Answer): Answer =>
    (socket) => {
      first(socket);
      then(socket);
    };

  it.each([70_001, 512 * 1024, SIZE, 8_000_000])('is whole, in %d bytes of it', async (size) => {
    const { response } = await ask(whole);
    expect((await pour(response.body, memoryOf(size))).equals(BODY)).toBe(true);
    await response.closed;
  });

  it.each<[string, Answer, Buffer]>([
    ['is small', (socket) => socket.write(`${head(5)}hello`), Buffer.from('hello')],
    ['is empty', (socket) => socket.write(head(0)), Buffer.alloc(0)],
    [
      'comes in chunks',
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
        for (let at = 0; at < SIZE; at += 1_000_000) {
          const chunk = BODY.subarray(at, at + 1_000_000);
          socket.write(`${chunk.length.toString(16)}\r\n`);
          socket.write(chunk);
          socket.write('\r\n');
        }
        socket.write('0\r\n\r\n');
      },
      BODY,
    ],
    [
      'ends with its connection',
      (socket) => socket.end(Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), BODY])),
      BODY,
    ],
    ['is followed by bytes that nobody wanted', followedBy(whole, (socket) => socket.write(BODY)), BODY],
    ['is the last of its connection', followedBy(whole, (socket) => socket.end()), BODY],
  ])('is whole when it %s', async (_, answer, wanted) => {
    const { response } = await ask(answer);
    expect((await pour(response.body, memoryOf(300_000))).equals(wanted)).toBe(true);
  });

  it('is whole over TLS', async () => {
    const { response } = await ask(whole, { tls: true });
    expect((await pour(response.body, memoryOf(300_000))).equals(BODY)).toBe(true);
  });

  it('is whole when memory is short for a while', async () => {
    const { response } = await ask(whole);
    const memory = memoryOf(100_000);
    const pieces: Buffer[] = [];
    const room = async () => {
      if (pieces.length % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 10));
      return memory;
    };
    for await (const piece of response.body.into!(room)) pieces.push(Buffer.from(piece));
    expect(Buffer.concat(pieces).equals(BODY)).toBe(true);
  });

  it.each([
    ['its connection ends', (socket: Socket) => socket.end(), BEGUN],
    // A reset may drop what nobody has read.
    ['its connection breaks', (socket: Socket) => socket.resetAndDestroy(), 0],
    // A busy machine may be slower than what is too long.
    ['nothing comes for too long', () => undefined, 1],
  ])('fails when %s before it does, with what came until then', async (_, stop, atLeast) => {
    const begun = BODY.subarray(0, BEGUN);
    const { response } = await ask(
      (socket) => socket.write(Buffer.concat([Buffer.from(head(SIZE)), begun]), () => stop(socket)),
      { stallMs: STALL },
    );
    const memory = memoryOf(1_000_000);
    let came = 0;
    const reading = (async () => {
      for await (const piece of response.body.into!(() => memory)) {
        expect(begun.subarray(came, came + piece.length).equals(piece)).toBe(true);
        came += piece.length;
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: /^(ECONNRESET|ETIMEDOUT|ERR_STREAM_PREMATURE_CLOSE)$/ });
    expect(came).toBeGreaterThanOrEqual(atLeast);
  });

  it('lets its connection go when it is left, and the next request has another', async () => {
    const { get, response, connections } = await ask(whole);
    expect(await pour(response.body, memoryOf(100_000), 200_000)).toHaveLength(200_000);
    await response.closed;
    expect((await pour((await get()).body, memoryOf(100_000))).equals(BODY)).toBe(true);
    expect(connections()).toBe(2);
  });
});
