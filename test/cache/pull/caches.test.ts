import { describe, expect, it } from 'vitest';
import { askedCaches } from '#cache/pull/caches.js';
import { CarportError, type ErrorCode } from '#lib/errors.js';
import { openMemoryStore } from '#lib/object-store/memory.js';
import type { ObjectStore } from '#lib/object-store/object-store.js';

/** A cache that says so of itself, and how often it was asked. */
function cacheOf(text: string | undefined, traits: Partial<ObjectStore['traits']> = {}) {
  const held = { metadata: { contentType: 'text/plain' }, modified: new Date(), etag: 'x' };
  const content = text === undefined ? [] : ([['nix-cache-info', { ...held, bytes: Buffer.from(text) }]] as const);
  const store = openMemoryStore(new Map(content));
  let asked = 0;
  const objects: ObjectStore = {
    ...store,
    traits: { ...store.traits, isImmediate: false, ...traits },
    read: (key, limit) => {
      asked++;
      return store.read(key, limit);
    },
  };
  return { objects, asked: () => asked };
}

const STORE = '/nix/store';
const GOOD = `StoreDir: ${STORE}\n`;
const nothing = () => {};

describe('a cache that is alone', () => {
  const failing = (code: ErrorCode) => Promise.reject(new CarportError(code, 'the narinfo is wrong'));

  it('is asked nothing while all is well, and not where it does not answer', async () => {
    const { objects, asked } = cacheOf(GOOD);
    const { caches, explain } = await askedCaches([objects], STORE, nothing);
    expect(caches).toEqual([objects]);
    expect(await explain(Promise.resolve(1))).toBe(1);
    await expect(explain(failing('E_UNAVAILABLE'))).rejects.toThrow('the narinfo is wrong');
    expect(asked()).toBe(0);
  });

  it.each<[string, string | undefined, ErrorCode, string]>([
    ['is none', undefined, 'E_NOT_FOUND', 'there is no binary cache'],
    ['is one of another store dir', 'StoreDir: /gnu/store\n', 'E_USAGE', 'is for `/gnu/store`'],
    ['is a web page', '<!DOCTYPE html>\n<title>Log in</title>', 'E_INTEGRITY', 'is a web page'],
  ])('is named when it %s', async (_, text, code, message) => {
    const { explain } = await askedCaches([cacheOf(text).objects], STORE, nothing);
    for (const from of ['E_NOT_FOUND', 'E_INTEGRITY', 'E_SIGNATURE', 'E_REMOTE'] as const) {
      await expect(explain(failing(from))).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
    }
  });

  it('is none that anything else is blamed on', async () => {
    const { explain } = await askedCaches([cacheOf(GOOD).objects], STORE, nothing);
    await expect(explain(failing('E_NOT_FOUND'))).rejects.toThrow('the narinfo is wrong');
  });

  it('is not asked for what it was, where it does not answer any more', async () => {
    const { objects } = cacheOf(GOOD);
    const gone = { ...objects, read: () => failing('E_UNAVAILABLE') };
    const { explain } = await askedCaches([gone], STORE, nothing);
    await expect(explain(failing('E_NOT_FOUND'))).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });

  it('is asked at once where that is a directory', async () => {
    const asking = askedCaches([cacheOf(undefined, { isImmediate: true }).objects], STORE, nothing);
    await expect(asking).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });
});

describe('several caches', () => {
  it('are asked, and put in order', async () => {
    const [second, first] = [cacheOf(`${GOOD}Priority: 50\n`), cacheOf(`${GOOD}Priority: 10\n`)];
    const warnings: string[] = [];
    const given = [second.objects, cacheOf(undefined).objects, first.objects];
    const { caches } = await askedCaches(given, STORE, ({ message }) => warnings.push(message));
    expect(caches).toEqual([first.objects, second.objects]);
    expect(warnings).toEqual([expect.stringContaining('there is no binary cache')]);
  });
});
