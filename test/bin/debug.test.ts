import { once } from 'node:events';
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

  it('names what it knows, where it is asked for something else', async () => {
    const { exitCode, stderr } = await box().carport(['cache', 'info', 'https://127.0.0.1:1'], {
      env: { CARPORT_DEBUG: 'http,pshu' },
    });
    expect(exitCode).toBe(2);
    expect(stderr).toContain('`pshu` (CARPORT_DEBUG)');
    expect(stderr).toContain('`http`');
  });
});
