import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createHttpClient } from '#lib/http/client.js';
import { proxyFor } from '#lib/http/connections/proxy.js';
import { gather, useDirectory } from '../../support/files.js';
import { useForwardProxies } from '../../support/forward-proxy.js';
import { answerWith, getRequest, useHttpServers } from '../../support/http-server.js';
import { CERTIFICATE, TLS_KEY } from '../../support/tls.js';

const HTTPS = new URL('https://cache.example.org/x');
const HTTP = new URL('http://cache.example.org/x');

describe('the proxy of the environment', () => {
  const hrefOf = (target: URL, env: NodeJS.ProcessEnv) => proxyFor(target, env)?.url.href;

  it.each([
    [HTTPS, { HTTPS_PROXY: 'http://p:8080' }, 'http://p:8080/'],
    [HTTPS, { https_proxy: 'http://a:1', HTTPS_PROXY: 'http://b:2' }, 'http://a:1/'],
    [HTTPS, { HTTP_PROXY: 'http://p:8080', http_proxy: 'http://p:8080' }, undefined],
    [HTTPS, { ALL_PROXY: 'socks5h://p:9' }, 'socks5h://p:9'],
    [HTTPS, { https_proxy: '', all_proxy: 'p:3128' }, 'http://p:3128/'],
    [HTTP, { HTTP_PROXY: 'http://p:8080' }, 'http://p:8080/'],
    [HTTP, { HTTP_PROXY: 'http://p:8080', REQUEST_METHOD: 'GET' }, undefined],
    [HTTP, { http_proxy: 'http://p:8080', REQUEST_METHOD: 'GET' }, 'http://p:8080/'],
    [HTTP, { http_proxy: 'proxy' }, 'http://proxy:1080/'],
    [HTTP, { http_proxy: 'http://proxy:80' }, 'http://proxy/'],
    [HTTP, { http_proxy: 'https://proxy' }, 'https://proxy/'],
    [HTTP, {}, undefined],
  ])('of %s with %j is %s', (target, env, href) => {
    expect(hrefOf(target, env)).toBe(href);
  });

  it.each([
    ['http://cache.example.org', '*', true],
    ['http://cache.example.org', 'example.org', true],
    ['http://cache.example.org', '.example.org', true],
    ['http://cache.example.org', 'CACHE.EXAMPLE.ORG', true],
    ['http://cache.example.org', 'ample.org', false],
    ['http://cache.example.org', 'a.b, cache.example.org', true],
    ['http://cache.example.org', 'a.b cache.example.org', true],
    ['http://cache.example.org:81', 'cache.example.org:81', true],
    ['http://cache.example.org:82', 'cache.example.org:81', false],
    ['https://cache.example.org', 'cache.example.org:443', true],
    ['http://10.1.2.3', '10.0.0.0/8', true],
    ['http://11.1.2.3', '10.0.0.0/8', false],
    ['http://10.1.2.3', '10.1.2.3', true],
    ['http://[::1]', '::1', true],
    ['http://[fd00::5]', 'fd00::/8', true],
    ['http://[fd00::5]', '[fd00::5]', true],
    ['http://[fd00::5]', '10.0.0.0/8', false],
    ['http://10.1.2.3', '10.0.0.0/99', false],
    ['http://cache.example.org', '', false],
  ])('is not for %s with no_proxy=%s: %s', (target, noProxy, isExempt) => {
    expect(proxyFor(new URL(target), { http_proxy: 'p:1', https_proxy: 'p:1', NO_PROXY: noProxy }) === undefined).toBe(
      isExempt,
    );
  });

  it.each(['ftp://p:1', 'http://', '::', 'http://p:99999'])('is refused when it is none: %s', (text) => {
    expect(() => proxyFor(HTTPS, { https_proxy: text })).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
    expect(() => proxyFor(HTTPS, { https_proxy: text })).toThrow('https_proxy is not the URL of a proxy');
  });
});

describe('requests through a proxy', () => {
  const directory = useDirectory();
  const proxies = useForwardProxies();
  const serve = useHttpServers();
  const closed: (() => void)[] = [];
  afterEach(() => {
    for (const close of closed.splice(0)) close();
  });

  const serveTls = async (): Promise<URL> => {
    const server: Server = createServer({ cert: CERTIFICATE, key: TLS_KEY }, (_, response) =>
      answerWith(response, 'secret'),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closed.push(() => server.close());
    return new URL(`https://localhost:${(server.address() as AddressInfo).port}/x?q=1`);
  };
  const clientWith = (env: NodeJS.ProcessEnv, stallMs = 10_000) => {
    const client = createHttpClient({
      env,
      signal: new AbortController().signal,
      patienceMs: 200,
      stallMs,
    });
    closed.push(() => client.close());
    return client.transport();
  };
  const ask = async (url: URL, env: NodeJS.ProcessEnv, stallMs?: number) => {
    const { status, body } = await clientWith(env, stallMs)(getRequest(url));
    return [status, (await gather(body)).toString()];
  };

  it('without TLS are forwarded with their whole URL, and the password of the proxy', async () => {
    const { url } = await serve((request, response) => answerWith(response, JSON.stringify(request.headers)));
    const { port, seen } = await proxies.http();
    const send = clientWith({ http_proxy: `http://me:p%20w@127.0.0.1:${port}` });
    for (const path of ['a', 'b']) {
      const response = await send(getRequest(new URL(path, url)));
      expect(JSON.parse((await gather(response.body)).toString())).toMatchObject({ host: url.host });
    }
    const authorization = `Basic ${Buffer.from('me:p w').toString('base64')}`;
    expect(seen).toEqual(['a', 'b'].map((path) => ({ line: `GET ${url}${path}`, authorization })));
  });

  it('with TLS go through a tunnel, also to a proxy that has TLS itself', async () => {
    const url = await serveTls();
    const file = join(directory(), 'ca.pem');
    await writeFile(file, CERTIFICATE);
    for (const tls of [false, true]) {
      const { port, seen } = await proxies.http({ tls });
      const env = { https_proxy: `${tls ? 'https' : 'http'}://me:pw@localhost:${port}`, SSL_CERT_FILE: file };
      expect(await ask(url, env)).toEqual([200, 'secret']);
      expect(seen.map(({ line }) => line)).toEqual([`CONNECT ${url.host}`]);
      expect(seen[0]!.authorization).toBe(`Basic ${Buffer.from('me:pw').toString('base64')}`);
    }
  });

  it('go through SOCKS, and names are looked up there', async () => {
    const { port, seen } = await proxies.socks();
    const { url } = await serve((_, response) => answerWith(response, 'hello'));
    const target = new URL(url);
    target.hostname = 'localhost';
    expect(await ask(target, { all_proxy: `socks5h://127.0.0.1:${port}` })).toEqual([200, 'hello']);
    expect(seen.map(({ line }) => line)).toEqual([`SOCKS ${target.host}`]);
  });

  it('go to the server itself where no_proxy says so', async () => {
    const { url } = await serve((_, response) => answerWith(response, 'hello'));
    const { port, seen } = await proxies.http();
    expect(await ask(url, { http_proxy: `http://127.0.0.1:${port}`, no_proxy: '127.0.0.0/8' })).toEqual([200, 'hello']);
    expect(seen).toEqual([]);
  });

  it.each([
    ['https', 407, 'E_CREDENTIALS', 'wants a user name and password'],
    ['http', 407, 'E_CREDENTIALS', 'wants a user name and password'],
    ['https', 403, 'E_REMOTE', 'answers 403 for `cache.example.org`'],
    ['https', 502, 'E_UNAVAILABLE', 'cannot be reached through the proxy'],
  ])('by %s that the proxy refuses with %i are its failure', async (scheme, refuse, code, message) => {
    const { port } = await proxies.http({ refuse });
    const variable = `${scheme}_proxy`;
    const asked = ask(new URL(`${scheme}://cache.example.org/x`), { [variable]: `http://127.0.0.1:${port}` });
    await expect(asked).rejects.toMatchObject({ code });
    await expect(asked).rejects.toThrow(message);
    await expect(asked).rejects.toThrow(`http://127.0.0.1:${port}`);
  });

  it.each(['http', 'https'])('by %s fail in its name when it is gone, or silent', async (scheme) => {
    const gone = await proxies.http();
    const silent = await proxies.silent();
    const target = new URL(`${scheme}://cache.example.org/x`);
    for (const { port } of [{ port: 1 }, silent]) {
      const asked = ask(target, { all_proxy: `http://127.0.0.1:${port}` }, 300);
      await expect(asked).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
      await expect(asked).rejects.toThrow(`\`http://127.0.0.1:${port}\``);
    }
    expect(gone.seen).toEqual([]);
  });
});
