import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { printableLink, resolveLink } from '#lib/object-store/link.js';
import { hasLinks, type LinkedObject } from '#lib/object-store/object-store.js';
import { expectError } from '../../support/errors.js';
import { answerWith, useHttpServers } from '../../support/http-server.js';
import { useStores } from '../../support/stores.js';

const BASE = new URL('https://cache.example/some/cache/');

describe('a link in a narinfo', () => {
  it.each([
    ['nar/x.nar', 'https://cache.example/some/cache/nar/x.nar'],
    ['nar/x.nar?hash=y', 'https://cache.example/some/cache/nar/x.nar?hash=y'],
    ['nar/x.nar?a=%2F..%2F&b=../..', 'https://cache.example/some/cache/nar/x.nar?a=%2F..%2F&b=../..'],
    ['./nar/x.nar', 'https://cache.example/some/cache/nar/x.nar'],
    ['nar/a%2Bb+c%20d%2fe.nar', 'https://cache.example/some/cache/nar/a%2Bb+c%20d%2fe.nar'],
    ['nar/\xe9.nar', 'https://cache.example/some/cache/nar/%E9.nar'],
    ['/nar/x.nar', 'https://cache.example/nar/x.nar'],
    ['https://other.example:8080/x.nar?sig=%2b', 'https://other.example:8080/x.nar?sig=%2b'],
    ['HTTPS://other.example/x.nar', 'https://other.example/x.nar'],
  ])('%s leads to %s', (link, target) => {
    expect(resolveLink(link, BASE).href).toBe(target);
  });

  it.each([
    ...['../x', 'nar/../../x', 'nar/%2e%2E/x', 'nar/.%2e/x', 'nar/..%2fx', 'nar%2f..%2f..%2fx', 'nar/%252e%252e/x'],
    ...['nar/..\\x', 'nar\\x', 'nar/..%5cx', '/../x', 'https://other.example/a/../x', 'https://other.example/%2e%2e/x'],
    ...['file:///etc/passwd', 'ftp://x/y', 'data:,x', 'https:x', 'https:/x', 'https:///x', '//other.example/x'],
    ...['http://other.example/x', 'https://u:p@other.example/x', 'https://u@other.example/x', 'https://[x/'],
    ...['', '.', './', '?x', '#x', '/', 'a b', ' x', 'x\n', 'x\x00', 'x\x7f'],
  ])('%j is not followed', (link) => {
    expectError('E_FORMAT', 'URL', () => resolveLink(link, BASE));
  });

  it('leads from a server without TLS to any', () => {
    const base = new URL('http://cache.example/');
    for (const link of ['http://a.example/x', 'https://a.example/x']) expect(resolveLink(link, base).href).toBe(link);
  });

  it('is shown without what may be a secret', () => {
    expect(printableLink('https://me:pw@a.example/x?Signature=abc')).toBe('https://a.example/x?…');
    expect(printableLink('nar/x')).toBe('nar/x');
  });
});

describe('what a link leads to', () => {
  const serve = useHttpServers();
  const stores = useStores();

  /** Two servers that note what they are asked; the cache is on the first. */
  const open = async () => {
    const asked: (readonly [url: string | undefined, authorization: string | undefined])[] = [];
    const answer: Parameters<typeof serve>[0] = (request, response) => {
      asked.push([request.url, request.headers.authorization]);
      answerWith(response, 'nar');
    };
    const [cache, other] = [await serve(answer), await serve(answer)];
    const opened = await stores();
    await writeFile(opened.box.path('home/.netrc'), 'default login me password geheim\n');
    const { objects } = opened.open(`${cache.url.href}some/cache`, { patienceMs: 300 });
    const link = (text: string): LinkedObject => {
      if (!hasLinks(objects)) throw new Error('no links');
      return objects.link(text);
    };
    return { asked, link, objects, other };
  };
  const AUTHORIZATION = `Basic ${Buffer.from('me:geheim').toString('base64')}`;

  it('is asked for as it is written', async () => {
    const { asked, link } = await open();
    const object = link('nar/a%2Bb.nar?hash=%61&x');
    expect((await object.stat())?.size).toBe(3);
    expect((await object.read(10))?.toString()).toBe('nar');
    expect((await object.open())?.size).toBe(3);
    expect(asked).toEqual(Array.from({ length: 3 }, () => ['/some/cache/nar/a%2Bb.nar?hash=%61&x', AUTHORIZATION]));
  });

  it('gets no password where it is on another server', async () => {
    const { asked, link, other } = await open();
    const object = link(`${other.url.href}x.nar?sig=1`);
    expect((await object.read(10))?.toString()).toBe('nar');
    expect((await object.stat())?.size).toBe(3);
    expect(asked).toEqual(Array.from({ length: 2 }, () => ['/x.nar?sig=1', undefined]));
  });

  it('does not make the cache unavailable when its own server is', async () => {
    const { link, objects } = await open();
    const gone = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => gone.once('listening', resolve));
    const { port } = gone.address() as AddressInfo;
    await new Promise((resolve) => gone.close(resolve));
    onTestFinished(() => void gone.close());
    const error = await link(`http://127.0.0.1:${port}/x.nar`)
      .read(10)
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'E_UNAVAILABLE', message: expect.stringContaining(`127.0.0.1:${port}`) });
    expect((await objects.read('nix-cache-info', 10))?.toString()).toBe('nar');
  });
});
