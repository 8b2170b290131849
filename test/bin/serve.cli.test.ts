import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { get, type IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:net';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, it } from 'vitest';
import { passedDescriptor } from '#bin/serve/listen.js';
import { servedNarKey } from '#cache/layout.js';
import { formatHash, hashBytes } from '#lib/nix/hash.js';
import { parseNarInfo, renderNarInfo } from '#lib/nix/narinfo.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { answerWith, useHttpServers } from '../support/http-server.js';
import { useSampleCache } from '../support/sample-cache.js';
import { CARPORT } from '../support/sandbox.js';
import { ask } from '../support/serve.js';

const sample = useSampleCache();
const upstream = useHttpServers();
const children: ChildProcess[] = [];
const servers: Server[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const server of servers.splice(0)) server.close();
});

/** Starts `carport serve --json`; a descriptor is passed as the third. */
function start(args: readonly string[], { fd, env = {} }: { fd?: number; env?: Record<string, string> } = {}) {
  const { shared } = sample();
  const child = spawn(process.execPath, [CARPORT, 'serve', '--json', ...args], {
    env: { ...shared.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe', ...(fd === undefined ? [] : [fd])],
  });
  children.push(child);
  const events: Record<string, unknown>[] = [];
  createInterface({ input: child.stdout! }).on('line', (line) => events.push(JSON.parse(line)));
  const ended = once(child, 'close') as Promise<[number | null, string | null]>;
  const event = async (type: string) => {
    await expect.poll(() => events.find((each) => each.type === type), { timeout: 60_000 }).toBeDefined();
    return events.find((each) => each.type === type)!;
  };
  return { child, events, ended, event };
}

const ofSamples = () => ['--from', sample().cache];

describe('carport serve', () => {
  it('tells where it listens, serves, and ends in order when it is told to', async () => {
    const { keyFile, samples } = sample();
    const { child, event, ended, events } = start([
      ...[...ofSamples(), '--trusted-key', keyFile.publicKey, '--listen', '[::1]:0', '--priority', '7', '-v'],
    ]);
    const { url, nixConf } = (await event('listening')) as { url: string; nixConf: string[] };
    expect(url).toMatch(/^http:\/\/\[::1\]:[0-9]+$/);
    expect(nixConf).toEqual([`extra-substituters = ${url}`, `extra-trusted-public-keys = ${keyFile.publicKey}`]);
    const address = url.replace('http://', '');
    expect((await ask(address, '/nix-cache-info')).body.toString()).toContain('Priority: 7\n');
    const narinfo = await ask(address, `/${hashPartOf(samples.top.path)}.narinfo`);
    const info = parseNarInfo(narinfo.body.toString('latin1'));
    expect((await ask(address, `/${info.url}`)).body.length).toBe(info.narSize);
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
    expect(events.at(-1)).toMatchObject({
      type: 'summary',
      result: 'done',
      requests: 3,
      nars: 1,
      narSize: info.narSize,
    });
    expect(events.filter(({ type }) => type === 'request')).toHaveLength(3);
  });

  it('ends at once at the second signal, also in the middle of an answer', async () => {
    const path = `/nix/store/${'c'.repeat(32)}-large`;
    const nar = Buffer.alloc(6_000_000, 'x');
    const narHash = hashBytes('sha256', nar);
    const common = {
      path,
      url: 'nar/large.nar',
      compression: 'none',
      references: [],
      signatures: [],
      unknownFields: [],
    };
    const { url: upstreamUrl } = await upstream(({ url }, response) => {
      if (url === '/nix-cache-info') return answerWith(response, 'StoreDir: /nix/store\n');
      if (url !== '/nar/large.nar')
        return answerWith(response, renderNarInfo({ ...common, narHash, narSize: nar.length }));
      // The rest never comes.
      response.writeHead(200, { 'content-length': nar.length }).write(nar.subarray(0, nar.length >> 1));
    });
    const { child, event, ended } = start(['--from', upstreamUrl.href, '--listen', '127.0.0.1:0', '--no-delta']);
    const { url } = (await event('listening')) as { url: string };
    const served = servedNarKey({ hashPart: hashPartOf(path), narHash: formatHash(narHash, 'nix32') });
    const [response] = (await once(get(`${url}/${served}`), 'response')) as [IncomingMessage];
    const cutShort = once(response.resume(), 'error');
    child.kill('SIGTERM');
    await event('draining');
    child.kill('SIGTERM');
    expect(await ended).toEqual([130, null]);
    await cutShort;
  });

  it('listens at a socket that is passed', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    // biome-ignore lint/suspicious/noExplicitAny: Node has no other word for the descriptor of a socket.
    const { fd } = (server as any)._handle;
    const { event } = start(ofSamples(), { fd, env: { LISTEN_FDS: '1' } });
    expect(await event('listening')).toMatchObject({ url: `http://127.0.0.1:${port}` });
    server.close();
    expect((await ask(`127.0.0.1:${port}`, '/')).status).toBe(200);
  });

  it('says that a port is in use', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const run = await sample().shared.carport(['serve', ...ofSamples(), '--listen', `127.0.0.1:${port}`]);
    expect([run.exitCode, run.stderr]).toEqual([
      expect.any(Number),
      expect.stringContaining(`another program listens at \`127.0.0.1:${port}\` already`),
    ]);
    expect(run.exitCode).not.toBe(0);
  });

  it.each([
    [['--listen', '0.0.0.0:0'], /can be reached from other machines/],
    [['--listen', '[::]:0'], /can be reached from other machines/],
    [['--listen', '[::ffff:10.0.0.1]:0'], /can be reached from other machines/],
    [['--listen', '5000'], /is no address with a port/],
    [['--listen', '127.0.0.1:70000'], /is no address with a port/],
    [['--listen', 'unix:/run/x'], /Nix reads no cache from a socket/],
    [['--priority', 'x'], /is not a number/],
  ])('refuses %j', async (args, why) => {
    const { exitCode, stderr } = await sample().shared.carport(['serve', ...ofSamples(), ...args]);
    expect([exitCode, stderr]).toEqual([2, expect.stringMatching(why)]);
  });

  it('refuses to serve nothing', async () => {
    const { exitCode, stderr } = await sample().shared.carport(['serve']);
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('it is not said which caches to serve')]);
  });
});

describe('sockets of systemd', () => {
  it('are those of this process', () => {
    expect(passedDescriptor({ LISTEN_FDS: '1', LISTEN_PID: '7' }, 7)).toBe(3);
    expect(passedDescriptor({ LISTEN_FDS: '1' }, 7)).toBe(3);
    expect(passedDescriptor({ LISTEN_FDS: '1', LISTEN_PID: '8' }, 7)).toBeUndefined();
    expect(passedDescriptor({ LISTEN_FDS: '0', LISTEN_PID: '7' }, 7)).toBeUndefined();
    expect(passedDescriptor({}, 7)).toBeUndefined();
    expect(() => passedDescriptor({ LISTEN_FDS: '2', LISTEN_PID: '7' }, 7)).toThrow(/2 sockets/);
  });

  it('lead to the address of the sample, and to loopback only', async () => {
    const read = (name: string) => readFile(new URL(`../../samples/serve/${name}`, import.meta.url), 'utf8');
    expect(await read('carport-serve.socket')).toMatch(/^ListenStream=127\.0\.0\.1:5000$/m);
    expect(await read('carport-serve.service')).toMatch(/^ExecStart=\S+ serve --offline-ok$/m);
  });
});
