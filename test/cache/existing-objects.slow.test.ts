import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { listNarInfosIfCheaper, listNarsIfCheaper } from '#cache/existing-objects.js';
import { CarportError } from '#lib/errors.js';
import { encodeNix32 } from '#lib/nix/base32.js';
import { LOCAL_TRAITS } from '#lib/object-store/object-store.js';
import { createKeyStore } from '../support/memory-store.js';

/** Spread as hashes are, the same for the same number. */
function hashOf(index: number, length = 20): string {
  return encodeNix32(createHash('sha256').update(String(index)).digest().subarray(0, length));
}

const narInfos = (number: number) => Array.from({ length: number }, (_, index) => `${hashOf(index)}.narinfo`);
const nars = (number: number) => Array.from({ length: number }, (_, index) => `nar/${hashOf(index, 32)}.nar.zst`);

describe('what a cache has', () => {
  it('is listed where that takes few pages beside the questions', async () => {
    const { objects, calls } = createKeyStore([...narInfos(2_500), 'nix-cache-info', 'robots.txt', ...nars(5)]);
    const listed = await listNarInfosIfCheaper(objects, 2_001);
    expect(listed).toEqual(new Set(Array.from({ length: 2_500 }, (_, index) => hashOf(index))));
    expect(calls.pages).toBe(3);
  });

  it('is not listed for a few questions', async () => {
    const { objects, calls } = createKeyStore(narInfos(10));
    expect(await listNarInfosIfCheaper(objects, 10)).toBeUndefined();
    expect(await listNarInfosIfCheaper(objects, 0)).toBeUndefined();
    expect(calls.pages).toBe(0);
  });

  it.each([
    [100_000, 500],
    [100_000, 11],
    [20_000, 100],
  ])('is not listed to the end when it has %d keys and there are %d questions', async (size, questions) => {
    const { objects, calls } = createKeyStore(narInfos(size));
    expect(await listNarInfosIfCheaper(objects, questions)).toBeUndefined();
    expect(calls.pages).toBeLessThanOrEqual(2);
  });

  it.each([
    [20_000, 300],
    [10_000, 2_001],
    [999, 11],
    [1_000, 11],
    [1_001, 30],
  ])('is listed to the end when it has %d keys and there are %d questions', async (size, questions) => {
    const { objects, calls } = createKeyStore(narInfos(size));
    expect((await listNarInfosIfCheaper(objects, questions))?.size).toBe(size);
    expect(calls.pages).toBe(Math.ceil(size / 1000));
  });

  it('tells no paths of keys that are none', async () => {
    const keys = ['x.narinfo', `${hashOf(1)}.ls`, `${hashOf(2)}.narinfo.tmp`, `${hashOf(3)}`];
    expect(await listNarInfosIfCheaper(createKeyStore(keys).objects, 100)).toEqual(new Set());
  });

  it('has NARs with their sizes', async () => {
    const { objects } = createKeyStore([...nars(1_500), ...narInfos(10)]);
    const listed = await listNarsIfCheaper(objects, 1_000);
    expect(listed).toEqual(new Map(nars(1_500).map((key) => [key, key.length])));
    const large = createKeyStore(nars(100_000));
    expect(await listNarsIfCheaper(large.objects, 1_000)).toBeUndefined();
    expect(large.calls.pages).toBeLessThanOrEqual(2);
  });

  it('is asked for where there is no listing, or a directory answers at once', async () => {
    const { objects, calls } = createKeyStore(narInfos(100));
    const { list: _, ...web } = objects;
    expect(await listNarInfosIfCheaper(web, 1_000)).toBeUndefined();
    expect(await listNarInfosIfCheaper({ ...objects, traits: LOCAL_TRAITS }, 1_000)).toBeUndefined();
    expect(calls.pages).toBe(0);
  });

  it('is not known where the key may not list, and where that fails the push does', async () => {
    const refuse = (code: 'E_CREDENTIALS' | 'E_UNAVAILABLE') => ({
      ...createKeyStore(narInfos(10)).objects,
      // biome-ignore lint/correctness/useYield: it fails before
      async *list(): AsyncGenerator<never> {
        throw new CarportError(code, 'no listing');
      },
    });
    expect(await listNarInfosIfCheaper(refuse('E_CREDENTIALS'), 100)).toBeUndefined();
    await expect(listNarInfosIfCheaper(refuse('E_UNAVAILABLE'), 100)).rejects.toThrow('no listing');
  });
});
