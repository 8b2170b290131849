import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { WriteStore } from '#lib/object-store/object-store.js';
import { errorReply, type FakeBucket, type Reply, useFakeBucket, xml } from '../../../support/fake-bucket.js';

const LIST = xml('<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>');

describe('requests to a bucket', () => {
  const open = useFakeBucket();
  afterEach(() => void vi.useRealTimers());

  it.each([
    ['by hand', async ({ store }: FakeBucket) => void (await store.read('x', 1000))],
    ['by the SDK', async ({ store }: FakeBucket) => void (await keysOf(store))],
  ])('have the date of each try: %s', async (_, ask) => {
    vi.useFakeTimers({ toFake: ['Date'], now: new Date('2026-01-01T00:00:00Z') });
    let asked = 0;
    const bucket = await open(() => {
      vi.setSystemTime(Date.now() + 60_000);
      return asked++ === 0 ? { status: 503 } : LIST;
    });
    await ask(bucket);
    const dates = bucket.asked.map(({ headers }) => headers['x-amz-date']);
    expect(dates).toEqual(['20260101T000000Z', '20260101T000100Z']);
    expect(new Set(bucket.asked.map(({ headers }) => headers.authorization)).size).toBe(2);
  });

  it('that are interrupted are not refused by anybody', async () => {
    const stop = new AbortController();
    const { store } = await open(
      () => {
        stop.abort();
        return 'drop';
      },
      { signal: stop.signal },
    );
    await expect(keysOf(store)).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('that fail in themselves are not refused by anybody', async () => {
    const { store } = await open(() => LIST);
    const failing = store.bucket.run('LIST', (client) => {
      client.middlewareStack.add(() => () => Promise.reject(new TypeError('ours')), { step: 'serialize' });
      return client.send(new ListObjectsV2Command({ Bucket: 'nix' }));
    });
    await expect(failing).rejects.toThrow(TypeError);
  });

  it.each(['hello', '{"a":1}', '<a><b></a>'])('that no S3 API answers say so: %s', async (body) => {
    const { store } = await open(() => ({ body }));
    await expect(keysOf(store)).rejects.toMatchObject({ code: 'E_USAGE' });
  });

  it('tell a key that may not read from an object that is missing', async () => {
    const denied = (action: string) =>
      errorReply(
        403,
        'AccessDenied',
        `User: arn:aws:iam::1:user/x is not authorized to perform: ${action} on resource`,
      );
    const read = async (reply: Reply) => (await open(() => reply)).store.read('nix-cache-info', 1000);
    await expect(read(denied('s3:GetObject'))).rejects.toMatchObject({ code: 'E_CREDENTIALS' });
    expect(await read(denied('s3:ListBucket'))).toBeUndefined();
    expect(await read(errorReply(403, 'AccessDenied', 'Access Denied'))).toBeUndefined();
  });

  it('say why a HEAD was refused, which its answer does not tell', async () => {
    const expired = errorReply(400, 'ExpiredToken', 'The provided token has expired.');
    const refusing = await open(({ method }) => (method === 'HEAD' ? { status: 400 } : expired));
    await expect(refusing.store.stat('x')).rejects.toMatchObject({ code: 'E_CREDENTIALS' });
    expect(refusing.asked.map(({ method, headers }) => [method, headers.range])).toEqual([
      ['HEAD', undefined],
      ['GET', 'bytes=0-0'],
    ]);
    const odd = await open(({ method }) => ({ status: method === 'HEAD' ? 400 : 200 }));
    await expect(odd.store.stat('x')).rejects.toMatchObject({ code: 'E_REMOTE' });
  });

  it('name the region that the server names', async () => {
    const headers = { 'x-amz-bucket-region': 'eu-north-1' };
    for (const status of [301, 307]) {
      const { store } = await open(() => ({ status, headers }));
      await expect(keysOf(store)).rejects.toMatchObject({
        code: 'E_USAGE',
        hint: expect.stringContaining('`region=eu-north-1`'),
      });
      await expect(store.read('x', 10)).rejects.toMatchObject({ hint: expect.stringContaining('`region=eu-north-1`') });
    }
  });
});

async function keysOf(store: WriteStore, prefix = ''): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list({ prefix, recursive: true })) keys.push(key);
  return keys;
}
