import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { gather } from '../../support/files.js';
import { answerWith, useHttpServers } from '../../support/http-server.js';
import { useStores } from '../../support/stores.js';
import { frameOf } from '../../support/zstd.js';

const TEXT = Buffer.alloc(5000, 'StorePath: x\n');

describe('what a server has encoded', () => {
  const serve = useHttpServers();
  const stores = useStores();

  const open = async (encoding: string, body: Uint8Array) => {
    const server = await serve((request, response) => {
      const headers = { 'content-encoding': encoding };
      if (request.method === 'HEAD') response.writeHead(200, { ...headers, 'content-length': body.length }).end();
      else answerWith(response, body, { headers });
    });
    return (await stores()).open(server.url.href, { patienceMs: 500 }).objects;
  };

  it.each([
    ['gzip', gzipSync(TEXT)],
    ['x-gzip', gzipSync(TEXT)],
    ['GZip', gzipSync(TEXT)],
    ['deflate', deflateSync(TEXT)],
    ['deflate', deflateRawSync(TEXT)],
    ['br', brotliCompressSync(TEXT)],
    ['zstd', frameOf(TEXT)],
    ['identity', TEXT],
    ['aws-chunked', TEXT],
    ['gzip,aws-chunked', gzipSync(TEXT)],
    ['gzip, br', brotliCompressSync(gzipSync(TEXT))],
  ])('as %s is read as it was', async (encoding, body) => {
    const objects = await open(encoding, body);
    expect((await objects.read('x.narinfo', TEXT.length))?.equals(TEXT)).toBe(true);
    expect((await gather((await objects.open('x.ls'))!.bytes())).equals(TEXT)).toBe(true);
  });

  it('has no size before it is read', async () => {
    const objects = await open('gzip', gzipSync(TEXT));
    expect((await objects.stat('x'))?.size).toBeNaN();
    const object = await objects.open('x');
    expect(object?.size).toBeNaN();
    object?.discard();
  });

  it('is not read beyond the limit', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    for (const [encoding, body] of [
      ['gzip', bomb],
      ['gzip, gzip', gzipSync(bomb)],
    ] as const) {
      const objects = await open(encoding, body);
      await expect(objects.read('x', 1_000_000)).rejects.toThrow('more than the 1000000 bytes');
    }
  });

  it.each([
    ['gzip', TEXT, 'E_INTEGRITY'],
    ['gzip', gzipSync(TEXT).subarray(0, 40), 'E_INTEGRITY'],
    ['sdch', TEXT, 'E_UNSUPPORTED'],
    ['constructor', TEXT, 'E_UNSUPPORTED'],
    ['gzip, gzip, gzip, gzip', gzipSync(gzipSync(gzipSync(gzipSync(TEXT)))), 'E_UNSUPPORTED'],
  ])('is refused with its name where it cannot be %s', async (encoding, body, code) => {
    const objects = await open(encoding, body);
    const error = { code, message: expect.stringMatching(/x\.narinfo.*Content-Encoding/), hint: expect.any(String) };
    await expect(objects.read('x.narinfo', 100_000)).rejects.toMatchObject(error);
  });

  it('is refused in parts', async () => {
    const objects = await open('gzip', gzipSync(TEXT));
    await expect(objects.open('x', { offset: 3, length: 5 })).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
  });
});
