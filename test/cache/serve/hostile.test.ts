import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { openMemoryStore } from '#lib/object-store/memory.js';
import { type TestServer, useCacheServers } from '../../support/serve.js';

const serve = useCacheServers();
const start = async (allowRemote = false) => {
  const cache = openMemoryStore(new Map());
  await cache.put('nix-cache-info', Buffer.from('StoreDir: /nix/store\n'), { contentType: 'text/plain' });
  return serve({ caches: [cache], allowRemote });
};

describe('requests that Nix does not send', () => {
  it.each([
    ['/../nix-cache-info', 404],
    ['/nar/../nix-cache-info', 404],
    ['/%2e%2e/%2e%2e/etc/passwd', 404],
    ['/log/..%2f..%2fetc%2fpasswd', 404],
    [`/log/${'a'.repeat(32)}-x%2f..%2f..%2fnix-cache-info`, 404],
    ['/log/%', 404],
    ['/%00.narinfo', 404],
    ['/nix-cache-info?x=1', 404],
    ['//nix-cache-info', 404],
    [`/${'e'.repeat(32)}.narinfo`, 404],
    [`/nar/${'0'.repeat(32)}-${'0'.repeat(52)}.nar`, 404],
    ['/carport/keys.json', 404],
    [`/${'x'.repeat(4000)}`, 404],
    ['http://example.org/nix-cache-info', 400],
  ])('%s is %i', async (path, status) => {
    const { get } = await start();
    expect((await get(path)).status).toBe(status);
  });

  it.each(['PUT', 'POST', 'DELETE', 'OPTIONS'])('%s is 405', async (method) => {
    const { get } = await start();
    expect((await get('/nix-cache-info', { method })).status).toBe(405);
  });

  it('with a body, or headers that are too large, are refused', async () => {
    const { get } = await start();
    expect((await get('/nix-cache-info', { body: 'x', headers: { 'content-length': '1' } })).status).toBe(413);
    expect((await get('/nix-cache-info', { headers: { 'transfer-encoding': 'chunked' } })).status).toBe(413);
    expect((await get('/nix-cache-info', { headers: { x: 'x'.repeat(20_000) } })).status).toBe(431);
  });

  it('of a web site that has a name for loopback are refused', async () => {
    const server = await start();
    const statuses = (hosts: readonly string[], { get }: TestServer) =>
      Promise.all(hosts.map(async (host) => (await get('/nix-cache-info', { headers: { host } })).status));
    const evil = [
      'evil.example.org',
      'evil.example.org:5000',
      '127.0.0.1.example.org',
      '10.0.0.1',
      'localhost.evil',
      '[::2]',
    ];
    expect(await statuses(evil, server)).toEqual(evil.map(() => 403));
    const good = ['localhost', 'LOCALHOST:5000', '127.0.0.1', '127.1.2.3:80', '[::1]:5000'];
    expect(await statuses(good, server)).toEqual(good.map(() => 200));
    expect(await statuses(evil.slice(0, 2), await start(true))).toEqual([200, 200]);
  });

  it('that are no HTTP end their connection, and nothing else', async () => {
    const { address, get } = await start();
    const socket = connect(Number(address.split(':').at(-1)), '127.0.0.1');
    socket.end('\x16\x03\x01 garbage\r\n\r\n');
    socket.resume();
    await once(socket, 'close');
    expect((await get('/nix-cache-info')).status).toBe(200);
  });
});

it('ends although somebody has connected and says nothing', async () => {
  const { address, server } = await start();
  const socket = connect(Number(address.split(':').at(-1)), '127.0.0.1');
  await once(socket, 'connect');
  await server.drain();
  socket.destroy();
});
