import { describe, expect, it } from 'vitest';
import { CACHE_INFO_KEY, LEASES, narInfoKey } from '#cache/layout.js';
import { LEASING } from '#cache/leases/lease.js';
import { findWhole } from '#cache/push/nothing-new.js';
import { NIXOS_KEY, recordUpstreamKeys } from '#cache/push/upstream-keys.js';
import { hashBytes } from '#lib/nix/hash.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { type MemoryObjects, openMemoryStore } from '#lib/object-store/memory.js';
import { LOCAL_TRAITS, type WriteStore } from '#lib/object-store/object-store.js';
import { fakeGraph, recordingStore } from '../../support/recording-store.js';
import { sampleKey } from '../../support/samples.js';
import { watchStore } from '../../support/watched-store.js';

const [KEY, OTHER] = [sampleKey('test-1'), sampleKey('other-1', 2)];

describe('a push whose roots are there', () => {
  const infosOf = (count: number): readonly PathInfo[] => [...fakeGraph(count).values()];
  const narOf = ({ path }: PathInfo) => `nar/${hashPartOf(path)}.nar`;
  /** A cache that has these paths, all signed, in memory. */
  const cacheOf = async (infos: readonly PathInfo[]) => {
    const content: MemoryObjects = new Map();
    const store = openMemoryStore(content, { url: 's3://memory' });
    const { objects: full } = recordingStore(infos, KEY);
    for (const info of infos) {
      for (const key of [narInfoKey(hashPartOf(info.path)), narOf(info)]) {
        await store.put(key, (await full.read(key, 10_000))!, { contentType: 'text/plain' });
      }
    }
    await store.put(CACHE_INFO_KEY, Buffer.from('StoreDir: /nix/store\n'), { contentType: 'text/plain' });
    return store;
  };
  const find = (objects: WriteStore, roots: readonly PathInfo[], changes: object = {}) =>
    findWhole(
      objects,
      {
        ...{ paths: roots.map(({ path }) => path), roots: Promise.resolve(roots) },
        ...{ keys: [KEY], skipSignedBy: [], ...changes },
      },
      { emit: () => undefined, signal: new AbortController().signal, leasing: LEASING },
    );

  it('ends at them, looks at nothing else, and makes their narinfos young while it has a lease', async () => {
    const infos = infosOf(50);
    const root = infos.at(-1)!;
    const { objects, calls } = watchStore(await cacheOf(infos));
    expect(await find(objects, [root])).toEqual({ paths: undefined });
    const narInfo = narInfoKey(hashPartOf(root.path));
    const changes = calls.filter((call) => !call.includes(CACHE_INFO_KEY) && /^(?:put|remove) /.test(call));
    const [lease = '', ...more] = changes;
    expect(lease.startsWith(`put ${LEASES}`)).toBe(true);
    expect(more).toEqual([`put ${narInfo}`, lease.replace('put', 'remove')]);
    const others = infos.slice(0, -1).map(({ path }) => hashPartOf(path));
    expect(calls.filter((call) => others.some((hashPart) => call.includes(hashPart)))).toEqual([]);
  });

  it('is looked at closer where a root is not as the store has it, or not signed, or its NAR is gone', async () => {
    const infos = infosOf(3);
    const [first, , root] = infos as [PathInfo, PathInfo, PathInfo];
    const objects = await cacheOf(infos);
    const rebuilt = { ...root, narHash: hashBytes('sha256', Buffer.from('other')) };
    expect(await find(objects, [rebuilt])).toBeUndefined();
    expect(await find(objects, [root], { keys: [KEY, OTHER] })).toBeUndefined();
    expect(await find(objects, [first, root])).toEqual({ paths: undefined });
    await objects.remove([narOf(first)]);
    expect(await find(objects, [first, root])).toBeUndefined();
    await objects.remove([narInfoKey(hashPartOf(root.path))]);
    expect(await find(objects, [root])).toBeUndefined();
  });

  it('is looked at closer where pushes have left out what this one sends', async () => {
    const infos = infosOf(3);
    const objects = await cacheOf(infos);
    await recordUpstreamKeys(objects, [NIXOS_KEY]);
    expect(await find(objects, infos.slice(-1))).toBeUndefined();
    expect(await find(objects, infos.slice(-1), { skipSignedBy: [NIXOS_KEY] })).toEqual({ paths: undefined });
  });

  it('leaves nothing where there is no cache, or one for another store dir', async () => {
    const infos = infosOf(1);
    const store = await cacheOf(infos);
    await store.put(CACHE_INFO_KEY, Buffer.from('StoreDir: /other/store\n'), { contentType: 'text/plain' });
    const { objects, calls } = watchStore(store);
    expect(await find(objects, infos)).toBeUndefined();
    await store.remove([CACHE_INFO_KEY]);
    expect(await find(objects, infos)).toBeUndefined();
    expect(calls.filter((call) => /^(?:put|remove) /.test(call))).toEqual([]);
  });

  it('has a small closure in a directory be whole', async () => {
    const infos = infosOf(20);
    const store = await cacheOf(infos);
    const objects = { ...store, traits: LOCAL_TRAITS };
    expect(await find(objects, infos.slice(-1))).toEqual({ paths: 20 });
    await store.remove([narOf(infos[3]!)]);
    expect(await find(objects, infos.slice(-1))).toBeUndefined();
  });
});
