import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { writeCacheInfo } from '#cache/binary-cache.js';
import { planErase } from '#cache/erase.js';
import { planPush } from '#cache/push/plan.js';
import { finishPush } from '#cache/push/prepare.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { openFileStore } from '#lib/object-store/file.js';
import { fakeGraph, recordingStore } from '../support/recording-store.js';
import { createAdder, createSampleStore, type SampleStore, sampleKey, snapshot } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';
import { createTransfers, faultsOf, narInfosOf, type Transfers } from '../support/transfers.js';

const KEY = sampleKey('own-1');

describe('what an erasure that was stopped has left', () => {
  const box = useSandbox('all');
  let samples: SampleStore;
  let transfers: Transfers;
  let key: KeyFile;
  let whole: string;
  let erased: readonly string[];
  let cache: string;
  let caches = 0;
  beforeAll(async () => {
    samples = await createSampleStore(box().root);
    transfers = createTransfers();
    key = await box().makeKey('test-1');
    whole = box().path('whole');
    await box().succeed(['push', samples.top.path, ...from(), '--to', whole]);
    erased = (await planErase(openFileStore(whole))).keys;
  });
  afterAll(() => transfers.close());
  beforeEach(() => {
    cache = box().path(`cache-${++caches}`);
  });
  const from = (root = samples.root) => ['--store', root, '--secret-key', key.file];
  const push = (...more: readonly string[]) =>
    box().carport(['push', samples.top.path, ...from(), '--to', cache, ...more]);
  /** Removes the first so many objects. */
  const stopErasureAfter = async (count: number) => {
    await cp(whole, cache, { recursive: true });
    await openFileStore(cache).remove(erased.slice(0, count));
  };
  const hasDescription = async () => 'nix-cache-info' in (await snapshot(cache));
  const pull = (root: string) =>
    box().carport(['pull', samples.top.path, '--from', cache, '--store', root, '--trusted-key', key.publicKey]);

  it('is made whole by a push, wherever it was stopped', async () => {
    expect(erased).toHaveLength(10);
    for (let count = 1; count <= erased.length; count++) {
      cache = box().path(`stopped-${count}`);
      await stopErasureAfter(count);
      await transfers.push({ store: samples.root, roots: [samples.top.path], cache, keys: [KEY] });
      expect([count, await faultsOf(cache), await hasDescription()]).toEqual([count, [], true]);
      expect([...(await narInfosOf(cache)).keys()].sort()).toEqual([...samples.paths].sort());
    }
  });

  it('is made whole by the command, with lost NARs, and a pull finds all', async () => {
    await stopErasureAfter(1);
    const infos = await narInfosOf(cache);
    await rm(`${cache}/${hashPartOf(samples.base.path)}.narinfo`);
    await rm(`${cache}/${infos.get(samples.middle.path)!.url}`);
    const dry = await push('--dry-run');
    expect([dry.exitCode, dry.lines]).toEqual([0, [samples.base.path, samples.middle.path]]);
    expect(await hasDescription()).toBe(false);
    const { stderr } = await push();
    expect(stderr).toContain('3 paths: 1 already cached, 2 to upload');
    expect(await faultsOf(cache)).toEqual([]);
    const { exitCode, lines } = await pull(box().path('pulled'));
    expect([exitCode, lines.length]).toEqual([0, 3]);
    expect((await push()).stderr).toContain('3 already cached, 0 to upload');
  });

  it('is no cache before a push has made it whole', async () => {
    await stopErasureAfter(1);
    for (const path of [samples.base.path, samples.middle.path]) await rm(`${cache}/${hashPartOf(path)}.narinfo`);
    const damaged = box().path('damaged-store');
    await cp(samples.root, damaged, { recursive: true, verbatimSymlinks: true });
    await rm(`${damaged}${samples.middle.path}/bin/run`);
    await writeFile(`${damaged}${samples.middle.path}/bin/run`, 'tampered', { mode: 0o755 });
    const stopped = await box().carport(['push', samples.top.path, ...from(damaged), '--to', cache]);
    expect(stopped.exitCode).toBe(6);
    expect(await hasDescription()).toBe(false);
    expect((await pull(box().path('never-made'))).exitCode).toBe(5);
    expect((await push()).exitCode).toBe(0);
    expect(await faultsOf(cache)).toEqual([]);
    expect(await hasDescription()).toBe(true);
  });

  it.each([[[]], [['--dry-run']]])('of other closures is refused, and nothing is changed (%j)', async (more) => {
    const other = await otherPath();
    await stopErasureAfter(2);
    const before = await snapshot(cache);
    const { exitCode, stdout, stderr } = await box().carport(['push', other, ...from(), '--to', cache, ...more]);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/E_USAGE.*holds what is left of a cache, which may be incomplete/);
    expect(stderr).toMatch(/because there is `.*\.narinfo`, but no `nix-cache-info`/);
    expect(stderr).toContain('`carport cache erase`');
    expect(await snapshot(cache)).toEqual(before);
    expect((await box().carport(['push', other, ...from(), '--to', cache, '--closure', 'none'])).exitCode).toBe(2);
  });

  it('of other closures stays with --check-all', async () => {
    await stopErasureAfter(2);
    const args = ['push', await otherPath(), ...from(), '--to', cache];
    await box().succeed([...args, '--check-all']);
    expect((await narInfosOf(cache)).size).toBe(3);
    expect(await hasDescription()).toBe(true);
    await push('--check-all');
    expect(await faultsOf(cache)).toEqual([]);
    await box().succeed(args);
  });

  it('is not made a cache by `cache init`', async () => {
    await stopErasureAfter(2);
    const { exitCode, stdout, stderr } = await box().carport(['cache', 'init', cache]);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toContain('holds what is left of a cache');
    expect(await hasDescription()).toBe(false);
    await box().succeed(['cache', 'erase', cache, '--yes']);
    await box().succeed(['cache', 'init', cache]);
    expect(await hasDescription()).toBe(true);
    await box().succeed(['cache', 'init', cache]);
  });

  const otherPath = async () => {
    const add = createAdder(samples.root, box().path('other-trees'));
    try {
      await mkdir(box().path('other-trees'), { recursive: true });
      return (await add('other', { file: 'other' })).path;
    } finally {
      await add.close();
    }
  };
});

describe('a push during which the cache is erased', () => {
  const box = useSandbox();

  it('fails at its end', async () => {
    const objects = openFileStore(box().path('erased'));
    const plan = await planPush(objects, {
      graph: fakeGraph(3),
      keys: [],
      checkAll: false,
      skipSignedBy: [],
      hasCache: true,
    });
    await expect(finishPush(objects, '/nix/store', plan)).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    await writeCacheInfo(objects, { storeDir: '/nix/store' });
    await finishPush(objects, '/nix/store', plan);
  });
});

describe('a push that makes the cache', () => {
  const graph = fakeGraph(2001);
  const request = { graph, keys: [KEY], checkAll: false, skipSignedBy: [], hasCache: false };

  it('lists once where there is nothing, and asks for nothing', async () => {
    const { objects, calls } = recordingStore([]);
    const plan = await planPush(objects, request);
    expect([plan.upload.length, plan.cacheInfo]).toEqual([2001, 'write-first']);
    expect(calls).toEqual({ lists: 1, reads: [], sizes: [] });
  });

  it('asks for every path and its NAR where nothing can be listed', async () => {
    const infos = [...graph.values()].slice(-5);
    const { objects, calls } = recordingStore(infos, KEY);
    const { list: _, ...web } = objects;
    const plan = await planPush(web, request);
    expect([plan.upload.length, plan.cacheInfo]).toEqual([2001 - infos.length, 'write-last']);
    expect([calls.reads.length, calls.sizes.length]).toEqual([2001, infos.length]);
  });

  it('makes it first where nothing can be listed and nothing is there', async () => {
    const { list: _, ...web } = recordingStore([]).objects;
    expect(await planPush(web, request)).toMatchObject({ cacheInfo: 'write-first' });
  });

  it('asks for what is listed, and its NAR', async () => {
    const infos = [...graph.values()].slice(-5);
    const { objects, calls } = recordingStore(infos, KEY);
    const plan = await planPush(objects, request);
    expect([plan.upload.length, plan.cacheInfo]).toEqual([2001 - infos.length, 'write-last']);
    expect([calls.lists, calls.reads.length, calls.sizes.length]).toEqual([1, infos.length, infos.length]);
  });

  it('goes on where another push has made it in the meantime', async () => {
    const { objects } = recordingStore([...fakeGraph(1, 'other').values()], KEY);
    await expect(planPush(objects, request)).rejects.toMatchObject({ code: 'E_USAGE' });
    const read = (name: string) =>
      name === 'nix-cache-info' ? Promise.resolve(Buffer.from('StoreDir: /nix/store\n')) : objects.read(name, 1000);
    const plan = await planPush({ ...objects, read }, request);
    expect([plan.upload.length, plan.cacheInfo]).toEqual([2001, 'exists']);
  });
});
