import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { useSandbox } from '../support/sandbox.js';

describe('CARPORT_DEBUG', () => {
  const box = useSandbox();
  let close = () => {};
  afterEach(() => close());

  it('tells each try of a request, without its query and headers', async () => {
    let asked = 0;
    const server = createServer((_, response) => {
      asked++;
      response.statusCode = asked === 1 ? 503 : 200;
      response.end(asked === 1 ? '' : 'StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    close = () => void server.close();
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { stderr } = await box().succeed(['cache', 'info', url], { env: { CARPORT_DEBUG: 'http' } });
    const host = url.slice('http://'.length);
    expect(stderr.split('\n').filter((line) => line.startsWith('http: '))).toEqual([
      expect.stringMatching(new RegExp(`^http: GET ${host}/nix-cache-info 503 \\d+ ms$`)),
      expect.stringMatching(new RegExp(`^http: GET ${host}/nix-cache-info 200 \\d+ ms, try 2$`)),
    ]);
    expect((await box().succeed(['cache', 'info', url])).stderr).not.toContain('http: ');
  });

  it('tells each path that is pushed or pulled, of the command that is asked for', async () => {
    await writeFile(box().path('f'), 'hello');
    const { lines } = await box().succeed(['store', 'add', box().path('f'), '--name', 'f-1']);
    const debug = (topics: string) => ({ env: { CARPORT_DEBUG: topics } });
    const cache = `file://${box().path('cache')}`;
    const pushed = await box().succeed(['push', lines[0]!, '--to', cache], debug('http,push'));
    expect(pushed.stderr).toMatch(new RegExp(`^push: begin ${lines[0]} \\d+ bytes$`, 'm'));
    expect(pushed.stderr).toMatch(new RegExp(`^push: end ${lines[0]} \\d+ bytes sent or read, \\d+ ms$`, 'm'));
    const pull = ['pull', lines[0]!, '--from', cache, '--allow-unsigned', '--store', box().path('other')];
    const pulled = await box().succeed(pull, debug('push'));
    expect(pulled.stderr).not.toMatch(/^(push|pull): /m);
  });

  it('names what it knows, where it is asked for something else', async () => {
    const { exitCode, stderr } = await box().carport(['cache', 'info', 'https://127.0.0.1:1'], {
      env: { CARPORT_DEBUG: 'http,pshu' },
    });
    expect(exitCode).toBe(2);
    expect(stderr).toContain('`pshu` (CARPORT_DEBUG)');
    expect(stderr).toContain('did you mean `push`?');
  });
});
