import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeNarInfo } from '#cache/binary-cache.js';
import { hashBytes } from '#lib/nix/hash.js';
import { parseNarInfo } from '#lib/nix/narinfo.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { openFileStore } from '#lib/object-store/file.js';
import { answerWith, useHttpServers } from '../../support/http-server.js';
import { type HttpProxy, startProxy } from '../../support/proxy.js';
import { useSandbox } from '../../support/sandbox.js';
import { useCacheServers } from '../../support/serve.js';
import { useStores } from '../../support/stores.js';

const PATH = `/nix/store/${'c'.repeat(32)}-large`;
const NAR = randomBytes(6_000_000);

const box = useSandbox('all');
const serve = useCacheServers();
const openStores = useStores();
const upstream = useHttpServers();
const proxies: HttpProxy[] = [];
let files: ReadonlyMap<string, Buffer>;

beforeAll(async () => {
  const cache = box().path('cache');
  const objects = openFileStore(cache);
  await objects.put('nar/large.nar', Buffer.from(NAR), { contentType: 'x/x' });
  await writeFile(join(cache, 'nix-cache-info'), 'StoreDir: /nix/store\n');
  const common = { path: PATH, url: 'nar/large.nar', compression: 'none', references: [], signatures: [] };
  const size = { narHash: hashBytes('sha256', NAR), narSize: NAR.length, fileSize: NAR.length };
  await writeNarInfo(objects, { ...common, ...size, unknownFields: [] });
  const keys = ['nix-cache-info', `${hashPartOf(PATH)}.narinfo`, 'nar/large.nar'];
  files = new Map(await Promise.all(keys.map(async (key) => [`/${key}`, (await objects.read(key, 1e7))!] as const)));
});
afterAll(() => Promise.all(proxies.map((proxy) => proxy.close())));

/** A web server of the cache that does ranges, and gives the second half of a NAR byte by byte. */
async function start(onNar: (range: string | undefined) => void) {
  let underWay = 0;
  const server = await upstream((asked, response) => {
    const bytes = files.get(asked.url!);
    if (bytes === undefined) return answerWith(response, '', { status: 404 });
    if (!asked.url!.startsWith('/nar/')) return answerWith(response, bytes);
    onNar(asked.headers.range);
    const from = Number(/^bytes=([0-9]+)-/.exec(asked.headers.range ?? '')?.[1] ?? 0);
    const part = bytes.subarray(from);
    const range = { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` };
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': part.length, ...(from > 0 && range) });
    if (from > 0) return void response.end(part);
    const half = part.length >> 1;
    response.write(part.subarray(0, half));
    let sent = half;
    const timer = setInterval(() => response.write(part.subarray(sent, ++sent)), 50);
    underWay++;
    response.once('close', () => {
      clearInterval(timer);
      underWay--;
    });
  });
  const proxy = await startProxy(server.url.origin);
  proxies.push(proxy);
  const { open } = await openStores();
  const { address, get } = await serve({ caches: [open(proxy.url).objects] });
  const { url: nar } = parseNarInfo((await get(`/${hashPartOf(PATH)}.narinfo`)).body.toString('latin1'));
  return { address, nar: `/${nar}`, proxy, underWay: () => underWay };
}

it('goes on by a range where the upstream was gone in the middle of a NAR', async () => {
  const ranges: (string | undefined)[] = [];
  const { address, nar, proxy } = await start((range) => ranges.push(range));
  const response = await askFor(address, nar);
  const pieces: Buffer[] = [];
  let isRestarted = false;
  for await (const piece of response) {
    pieces.push(piece as Buffer);
    if (isRestarted) continue;
    isRestarted = true;
    await proxy.pause();
    setTimeout(() => void proxy.resume(), 500);
  }
  expect(Buffer.concat(pieces).equals(NAR)).toBe(true);
  expect(ranges.at(-1)).toMatch(/^bytes=[1-9][0-9]*-$/);
});

it('stops what it fetches for a client that goes away', async () => {
  let asked = 0;
  const { address, nar, underWay } = await start(() => asked++);
  const response = await askFor(address, nar);
  await once(response, 'data');
  response.destroy();
  expect([asked, underWay()]).toEqual([1, 1]);
  await expect.poll(underWay).toBe(0);
});

/** The answer as soon as it begins. */
async function askFor(address: string, path: string): Promise<IncomingMessage> {
  const [host, port] = address.split(':');
  const [response] = await once(request({ host, port, path, agent: false }).end(), 'response');
  return response;
}
