import { afterEach, describe, expect, it, vi } from 'vitest';
import type { ObjectStore } from '#cache/object-store/object-store.js';
import { type FakeBucket, useFakeBucket, xml } from '../../../support/fake-bucket.js';

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
});

async function keysOf(store: ObjectStore): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list!({ recursive: true })) keys.push(key);
  return keys;
}
