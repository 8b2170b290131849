import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PushEvent } from '#cache/push/events.js';
import { pushClosure } from '#cache/push/session.js';
import { toHex } from '#lib/nix/hash.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { openFileStore } from '#lib/object-store/file.js';
import { type MemoryObjects, openMemoryStore } from '#lib/object-store/memory.js';
import type { ObjectStore } from '#lib/object-store/object-store.js';
import { runtimeClosure } from '#lib/store/closure.js';
import { openOwnStore } from '#lib/store/own/own-store.js';
import type { PackSmallJob, SmallPath } from '#lib/workers/jobs.js';
import { useDirectory } from '../../support/files.js';
import { usePool } from '../../support/pool.js';
import { createLargeStore, sampleKey } from '../../support/samples.js';
import { useSandbox } from '../../support/sandbox.js';
import { faultsOf, narInfosOf, pinPolicy, SEEN_NOTHING } from '../../support/transfers.js';

const KEYS = [sampleKey('test-1'), sampleKey('test-2', 2)];
const SIZES = Array.from({ length: 50 }, (_, index) => (index === 7 ? 400_000 : 300 * index));

describe('small paths of a push to a directory', () => {
  const box = useSandbox('all');
  const directory = useDirectory();
  const pool = usePool();
  let samples: Awaited<ReturnType<typeof createLargeStore>>;
  let events: PushEvent[];
  beforeAll(async () => {
    samples = await createLargeStore(box().root, SIZES);
  });
  beforeEach(() => {
    events = [];
  });

  const push = (cache: string, compression: 'zstd' | 'none', listing: boolean) =>
    pushTo(openFileStore(cache), compression, listing);
  const pushTo = async (objects: ObjectStore, compression: 'zstd' | 'none', listing: boolean) => {
    const store = openOwnStore(samples.root);
    const request = {
      ...{ store, own: store, closure: await runtimeClosure(store, [samples.top]), keys: KEYS, realisations: [] },
      packing: { compression, level: compression === 'zstd' ? 3 : 0, listing, smallListings: true },
      pins: {
        requests: [],
        signing: { keys: KEYS, policy: pinPolicy({ keys: [], allowUnsigned: false }), seen: SEEN_NOTHING },
      },
      ...{ checkAll: false, skipSignedBy: { names: [], origin: 'the test' }, dryRun: false },
    };
    const { signal } = new AbortController();
    return pushClosure(objects, request, { pool, emit: (event) => events.push(event), signal });
  };
  const objectsOf = async (cache: string) => {
    const names = await readdir(cache, { recursive: true, withFileTypes: true });
    const files = names.filter((each) => each.isFile() && !each.name.endsWith('.ls'));
    const paths = files.map(({ parentPath, name }) => join(parentPath, name));
    return new Map(
      await Promise.all(paths.map(async (path) => [path.slice(cache.length), await readFile(path)] as const)),
    );
  };

  it.each(['zstd', 'none'] as const)('gives the very objects that paths give one by one (%s)', async (compression) => {
    // Those that have a listing go one by one.
    const [together, alone] = [join(directory(), 'together'), join(directory(), 'alone')];
    const summary = await push(together, compression, false);
    expect(summary.transferred).toBe(samples.paths.length);
    const told = events.filter(({ type }) => type === 'path-finished');
    expect(told).toHaveLength(samples.paths.length);
    expect(await push(alone, compression, true)).toMatchObject({ fileSize: summary.fileSize });
    expect(await objectsOf(together)).toEqual(await objectsOf(alone));
    expect(await faultsOf(together)).toEqual([]);
    expect(await readdir(join(together, 'carport/tmp'))).toEqual([]);
  });

  it('gives a cache that is no directory the same objects, and each but once', async () => {
    const cache = join(directory(), 'cache');
    await push(cache, 'zstd', false);
    const objects: MemoryObjects = new Map();
    const memory = openMemoryStore(objects);
    const sent: string[] = [];
    const put: typeof memory.put = (key, ...rest) => {
      sent.push(key);
      return memory.put(key, ...rest);
    };
    await pushTo({ ...memory, put }, 'zstd', false);
    const written = [...(await objectsOf(cache))].filter(([key]) => /^\/nar\/|\.narinfo$/.test(key));
    expect(written).toHaveLength(2 * samples.paths.length);
    for (const [key, bytes] of written) expect(Buffer.from(objects.get(key.slice(1))!.bytes)).toEqual(bytes);
    expect(sent.filter((key) => key.startsWith('nar/'))).toHaveLength(samples.paths.length);
  });

  it('says which path is damaged in the store, and leaves only what is whole', async () => {
    const victim = samples.paths[40]!;
    const file = join(openOwnStore(samples.root).realPath({ path: victim }), 'data');
    const before = await readFile(file);
    await chmod(file, 0o644);
    await writeFile(file, Buffer.alloc(before.length));
    const cache = join(directory(), 'cache');
    await expect(push(cache, 'zstd', false)).rejects.toMatchObject({
      code: 'E_INTEGRITY',
      message: expect.stringContaining(victim),
    });
    expect(await faultsOf(cache)).toEqual([]);
    expect((await narInfosOf(cache)).has(victim)).toBe(false);
    await writeFile(file, before);
    await push(cache, 'zstd', false);
    expect((await narInfosOf(cache)).size).toBe(samples.paths.length);
  });

  it('are not seen before the caller can vouch for it, and are refused where they are not as told', async () => {
    const store = openOwnStore(samples.root);
    const [info] = (await store.queryInfos([samples.paths[3]!])).values();
    const { path, narHash, narSize, references } = info!;
    const cache = join(directory(), 'cache');
    await mkdir(cache);
    const narInfo = join(cache, `${hashPartOf(path)}.narinfo`);
    const small: SmallPath = {
      ...{ storePath: path, realPath: store.realPath({ path }), narHash: toHex(narHash.digest), narSize, references },
      ...{ signatures: [], narInfo },
    };
    const job: PackSmallJob = {
      type: 'pack-small',
      ...{ compression: 'zstd', level: 3, ending: '.zst', narKey: 'nar/' },
      keys: KEYS.map(({ name, privateKey }) => ({ name, privateKey })),
      place: { directory: join(cache, 'nar'), temporary: join(cache, 'tmp') },
      paths: JSON.stringify([small, { ...small, narHash: '00' }, { ...small, realPath: join(cache, 'none') }]),
    };
    const soon = { monotonic: process.hrtime.bigint() + 10n ** 12n, wall: Date.now() + 1_000_000 };
    for (const late of [
      { ...soon, monotonic: 0n },
      { ...soon, wall: 0 },
    ]) {
      const states = await pool.run({ ...job, until: late });
      expect(states.map(({ state }) => state)).toEqual(['packed', 'refused', 'refused']);
      expect(await readdir(cache)).toEqual(['nar']);
    }
    const [done] = await pool.run({ ...job, until: soon });
    expect(done).toMatchObject({ state: 'visible' });
    expect((await readdir(cache)).sort()).toEqual(['nar', `${hashPartOf(path)}.narinfo`].sort());
  });
});
