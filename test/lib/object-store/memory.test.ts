import { hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type MemoryObjects, openMemoryStore } from '#lib/object-store/memory.js';
import { BUCKET_TRAITS, LOCAL_TRAITS, type WriteStore } from '#lib/object-store/object-store.js';
import { describeObjectStore } from './conformance.js';

const TEXT = { contentType: 'text/plain' };

describeObjectStore('memory', async () => {
  const content: MemoryObjects = new Map();
  const handles: WriteStore[] = [];
  const reopen = () => {
    const handle = openMemoryStore(content);
    handles.push(handle);
    return handle;
  };
  const objects = reopen();
  return {
    objects,
    reopen,
    metadataOf: async (key) => content.get(key)!.metadata,
    visit: async (key) => (await objects.read(key, 1000))?.toString(),
    async remove() {
      await Promise.all(handles.map((handle) => handle.close()));
    },
  };
});

describe('a store in memory', () => {
  const put = (store: WriteStore, ...keys: readonly string[]) =>
    Promise.all(keys.map((key) => store.put(key, Buffer.from(key), TEXT)));

  it('lists pages, each of which is what there is when it is asked for', async () => {
    let pages = 0;
    const store = openMemoryStore(new Map(), { pageSize: 2, beforePage: () => void pages++ });
    await put(store, 'b', 'c', 'd', 'e', 'g');
    const seen: string[] = [];
    for await (const { key } of store.list({})) {
      seen.push(key);
      if (key !== 'b') continue;
      // Before what was listed, in the same page, and in pages to come.
      await put(store, 'a', 'f');
      await store.remove(['c', 'e']);
    }
    expect(seen).toEqual(['b', 'c', 'd', 'f', 'g']);
    expect(pages).toBe(3);
  });

  it('has the clock that it is given, to the second, and MD5s for ETags', async () => {
    let time = new Date('2026-11-28T10:00:00.999Z');
    const store = openMemoryStore(new Map(), { now: () => time });
    await put(store, 'x');
    time = new Date('2026-11-28T11:00:00.001Z');
    expect(await store.stat('x')).toEqual({
      size: 1,
      modified: new Date('2026-11-28T10:00:00Z'),
      etag: hash('md5', 'x'),
    });
    expect(await store.now()).toEqual(new Date('2026-11-28T11:00:00Z'));
  });

  it('is a bucket, or what it is told to be', () => {
    expect(openMemoryStore().traits).toEqual(BUCKET_TRAITS);
    const store = openMemoryStore(new Map(), { traits: LOCAL_TRAITS, url: 'file:///memory' });
    expect([store.traits, store.url]).toEqual([LOCAL_TRAITS, 'file:///memory']);
  });

  it('keeps its bytes from those who put and read them', async () => {
    const store = openMemoryStore();
    const bytes = Buffer.from('kept');
    await store.put('x', bytes, TEXT);
    bytes.fill(0);
    (await store.read('x', 10))!.fill(0);
    for await (const piece of (await store.open('x'))!.bytes()) piece.fill(0);
    expect((await store.read('x', 10))!.toString()).toBe('kept');
  });
});
