import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type RequestDone, startWebServer } from '#lib/http/server/server.js';

const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

/** A server whose `/endless` has no end, and which has begun with so many of them. */
async function start() {
  const done: RequestDone[] = [];
  const endless = { begun: 0, left: 0 };
  async function* pieces(): AsyncGenerator<Uint8Array> {
    endless.begun++;
    try {
      for (;;) yield Buffer.alloc(64 * 1024);
    } finally {
      endless.left++;
    }
  }
  const server = await startWebServer({
    ...{ at: { host: '127.0.0.1', port: 0 }, allowRemote: false },
    handle: async ({ target }) => ({ status: 200, body: target === '/endless' ? { pieces } : target }),
    onDone: (request) => void done.push(request),
  });
  const open = async (...targets: readonly string[]) => {
    const socket = connect(Number(server.address!.split(':')[1]), '127.0.0.1');
    sockets.push(socket);
    await once(socket, 'connect');
    socket.write(targets.map((target) => `GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(''));
    return socket;
  };
  return { server, done, endless, open };
}

describe('requests of one connection', () => {
  it('are answered one after the other', async () => {
    const { server, open } = await start();
    const socket = await open('/one', '/two', '/three');
    let text = '';
    socket.on('data', (bytes) => {
      text += bytes;
    });
    await expect.poll(() => text.match(/\/[a-z]+$/gm), { timeout: 60_000 }).toContain('/three');
    expect(text.match(/\/(one|two|three)(?=HTTP|$)/gm)).toEqual(['/one', '/two', '/three']);
    await server.drain();
  });

  it('are let go, all of them, when their client goes away', async () => {
    const { server, done, endless, open } = await start();
    const socket = await open('/endless', '/endless', '/endless');
    await expect.poll(() => endless.begun, { timeout: 60_000 }).toBeGreaterThan(0);
    // What one of them holds is not held three times.
    expect(endless.begun).toBe(1);
    socket.destroy();
    await expect.poll(() => done.length, { timeout: 60_000 }).toBe(3);
    expect(done.every(({ failure }) => failure !== undefined)).toBe(true);
    expect(endless.left).toBe(endless.begun);
    await server.drain();
  });

  it('are not taken without end', async () => {
    const { server, open } = await start();
    const socket = await open(...Array<string>(100).fill('/endless'));
    socket.on('error', () => {});
    await once(socket.resume(), 'close');
    await server.drain();
  });
});

it('breaks off what somebody reads too slowly when it is to end', async () => {
  const { server, done, endless, open } = await start();
  await open('/endless');
  await expect.poll(() => endless.begun, { timeout: 60_000 }).toBe(1);
  await server.drain(50);
  await expect.poll(() => done, { timeout: 60_000 }).toMatchObject([{ failure: expect.anything() }]);
});
