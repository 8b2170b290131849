import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { hasLinks } from '#lib/object-store/object-store.js';
import { answerWith, useHttpServers } from '../../support/http-server.js';
import { useStores } from '../../support/stores.js';

const TEXT = 'StorePath: /nix/store/x\n';
const LAST = TEXT.length - 1;

type Reply = (response: ServerResponse, request: IncomingMessage) => void;

const part = (range: string, bytes: string) =>
  `\r\n--B\r\nContent-Range: bytes ${range}/${TEXT.length}\r\n\r\n${bytes}`;
const multipart =
  (body: string): Reply =>
  (response) =>
    answerWith(response, body, { status: 206, headers: { 'content-type': 'multipart/byteranges; boundary=B' } });
const single =
  (range: string, body: string): Reply =>
  (response) =>
    answerWith(response, body, { status: 206, headers: { 'content-range': `bytes ${range}/${TEXT.length}` } });
const breaksOff =
  (headers: OutgoingHttpHeaders): Reply =>
  (response) => {
    response.writeHead(206, { 'content-type': 'multipart/byteranges; boundary=B', ...headers });
    response.write(part('0-0', TEXT[0]!), () => response.destroy());
  };
const endless: Reply = (response) => {
  response.writeHead(206, { 'content-type': 'multipart/byteranges; boundary=B' });
  const body = part('0-0', TEXT[0]!) + part(`1-${LAST}`, TEXT.slice(1));
  const more = () => void (response.destroyed || response.write(Buffer.alloc(100_000), () => setImmediate(more)));
  response.write(body, more);
};
const status =
  (code: number): Reply =>
  (response) =>
    answerWith(response, 'no', { status: code });

describe('a small object that is asked for in two ranges', () => {
  const serve = useHttpServers();
  const stores = useStores();

  /** A server that answers so to several ranges, and the store of it. */
  const open = async (reply: Reply) => {
    const ranges: (string | undefined)[] = [];
    const { url } = await serve((request, response) => {
      ranges.push(request.headers.range);
      if (request.url === '/missing') return answerWith(response, '', { status: 404 });
      return request.headers.range ? reply(response, request) : answerWith(response, TEXT);
    });
    const { objects } = (await stores()).open(url.href, { patienceMs: 300 });
    if (!hasLinks(objects)) throw new Error('no links');
    const read = async (key = 'x', limit = 1000) => (await objects.read(key, limit))?.toString();
    return { objects, read, ranges };
  };
  const IN_TWO = 'bytes=0-0,1-';
  const BOTH = part('0-0', TEXT[0]!) + part(`1-${LAST}`, TEXT.slice(1));

  it.each<[string, Reply, boolean, number]>([
    ['sends both', multipart(`${BOTH}\r\n--B--\r\n`), true, 1],
    ['makes one of them, as Apache does', single(`0-${LAST}`, TEXT), true, 1],
    ['sends all of it', (response) => answerWith(response, TEXT), false, 1],
    ['sends the first', single('0-0', TEXT[0]!), false, 2],
    ['sends the second', single(`1-${LAST}`, TEXT.slice(1)), false, 2],
    ['refuses', status(416), false, 2],
    ['says that it is not there', status(404), false, 2],
    ['forbids it', status(403), false, 2],
    ['refuses in another way', status(400), false, 2],
    ['sends a part less', multipart(part('0-0', TEXT[0]!)), false, 2],
    ['sends less of a part', multipart(BOTH.slice(0, -3)), false, 2],
    ['sends less than it has', multipart(part('0-0', TEXT[0]!) + part('1-3', TEXT.slice(1, 4))), false, 2],
    [
      'breaks off',
      (response) => response.writeHead(206, { 'content-length': 99 }).write('x') && response.destroy(),
      false,
      2,
    ],
    ['breaks off in a part', breaksOff({ 'content-length': 999 }), false, 2],
    ['breaks off in a part of which the size is not told', breaksOff({}), false, 2],
    ['closes the connection', (response) => response.destroy(), false, 2],
    ['has a fault', status(500), false, 2],
  ])('is read of a server that %s', async (_, reply, sendsMany, requests) => {
    const { objects, read, ranges } = await open(reply);
    objects.findOutRanges();
    expect(await read()).toBe(TEXT);
    expect(objects.sendsManyRanges()).toBe(sendsMany);
    expect(ranges).toEqual([IN_TWO, undefined].slice(0, requests));
    // It is found out once.
    expect(await read()).toBe(TEXT);
    expect(ranges.slice(requests)).toEqual([undefined]);
  });

  it('is read of a server that sends on without end behind the last part', async () => {
    const { objects, read } = await open(endless);
    objects.findOutRanges();
    expect(await read()).toBe(TEXT);
    expect(objects.sendsManyRanges()).toBe(true);
  });

  it('is another where the first one is not there', async () => {
    const { objects, read, ranges } = await open(multipart(BOTH));
    expect(await read()).toBe(TEXT);
    objects.findOutRanges();
    expect(await read('missing')).toBeUndefined();
    expect(objects.sendsManyRanges()).toBe(false);
    expect(await read()).toBe(TEXT);
    expect(objects.sendsManyRanges()).toBe(true);
    // That it is not there is asked once more, the first time.
    expect(ranges).toEqual([undefined, IN_TWO, undefined, IN_TWO]);
  });

  it('is refused where it is too large', async () => {
    const { objects, read } = await open(multipart(BOTH));
    objects.findOutRanges();
    await expect(read('x', 10)).rejects.toMatchObject({ code: 'E_FORMAT' });
  });
});
