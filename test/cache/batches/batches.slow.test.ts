import { setTimeout } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { parseBatch, readBatch, writeBatch } from '#cache/batches/document.js';
import { inBatch, toldBatch } from '#cache/batches/field.js';
import { createBatchWriter } from '#cache/batches/write.js';
import { readNarInfo, writeNarInfo } from '#cache/binary-cache.js';
import { fromFirstThatCan } from '#cache/fallback.js';
import { batchKey, batchNameOfKey, isKeyOfCache, narInfoKey } from '#cache/layout.js';
import { planPull } from '#cache/pull/plan.js';
import { compressDocument, decompressDocument } from '#lib/compression/bounded-zstd.js';
import { CarportError } from '#lib/errors.js';
import { hashBytes } from '#lib/nix/hash.js';
import { renderNarInfo } from '#lib/nix/narinfo.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { openMemoryStore } from '#lib/object-store/memory.js';
import type { ObjectStore, WriteStore } from '#lib/object-store/object-store.js';
import type { PublicKey } from '#lib/signing/key.js';
import { createBatchedCache, fakeNarInfo } from '../../support/batched-cache.js';
import { fakeFan as fan, fakePath as path } from '../../support/fake-paths.js';
import { sampleKey } from '../../support/samples.js';

const [KEY, NEW] = [sampleKey('test-1'), sampleKey('new-1', 2)];
const NO_STORE = {
  storeDir: '/nix/store',
  description: 'nothing',
  queryInfos: async () => new Map(),
  queryClosure: async () => new Map(),
  queryHashParts: async () => new Map(),
};
const TEXT = { contentType: 'text/plain' };

function plan(
  caches: readonly ObjectStore[],
  roots: readonly PathInfo[],
  keys: readonly PublicKey[] = [KEY.publicKey],
) {
  const wanted = roots.map(({ path }) => ({ hashPart: hashPartOf(path), path }));
  return planPull(caches, NO_STORE, wanted, { keys, allowUnsigned: keys.length === 0 }, () => undefined);
}

describe('batches of narinfos', () => {
  it('hold what the narinfos are, in order, for people to read, too', async () => {
    const infos = fan(20, 'few');
    const { store, batchKeys } = await createBatchedCache([infos], [KEY]);
    const [key] = batchKeys();
    expect(isKeyOfCache(key!)).toBe(true);
    const alone = await Promise.all(
      infos.map(async ({ path }) => (await store.read(narInfoKey(hashPartOf(path)), 9999))!.toString()),
    );
    expect((await decompressDocument((await store.read(key!, 99_999))!, 99_999)).toString()).toBe(alone.join('\n'));
    expect(toldBatch((await readNarInfo(store, hashPartOf(infos[3]!.path)))!)).toEqual({
      name: batchNameOfKey(key!),
      count: 21,
    });
    const texts = (await readBatch(store, batchNameOfKey(key!)!))!;
    expect([...texts.keys()]).toEqual(infos.map(({ path }) => hashPartOf(path)));
  });

  it('are named by paths, contents and keys, of about the same size, and none for a few', () => {
    const writer = (infos: readonly PathInfo[], keys: readonly string[] = ['a', 'b']) =>
      createBatchWriter(infos, keys, { objects: openMemoryStore(), emit: () => undefined });
    const nameOf = (infos: readonly PathInfo[], keys?: readonly string[]) =>
      writer(infos, keys).batchOf(infos[0]!.path)?.name;
    const infos = fan(10, 'some');
    const changed = infos.map((info, index) => (index === 4 ? { ...info, narHash: hashBytes('sha256', 'new') } : info));
    expect(nameOf(infos)).toBe(nameOf([...infos].reverse(), ['b', 'a']));
    expect(new Set([nameOf(infos), nameOf(infos, ['a']), nameOf(changed), nameOf(infos.slice(1))]).size).toBe(4);
    expect(nameOf(infos.slice(0, 7))).toBeUndefined();
    const many = fan(2499, 'many');
    const { batchOf } = writer(many);
    expect(new Set(many.map(({ path }) => batchOf(path)!.count))).toEqual(new Set([1250]));
    const wide = many.slice(0, 50).map((info) => ({ ...info, references: Array<string>(3000).fill(info.path) }));
    expect(writer(wide).batchOf(wide[0]!.path)!.count).toBeLessThan(16);
  });

  it('are waited for where the work before has failed', async () => {
    let ended = 0;
    const store = openMemoryStore();
    const slow: ObjectStore = {
      ...store,
      async put(...object) {
        await setTimeout(20);
        await store.put(...object);
        ended++;
      },
    };
    const infos = fan(10, 'failing');
    const writer = createBatchWriter(infos, [], { objects: slow, emit: () => undefined });
    for (const info of infos) writer.add(info.path, 'x\n');
    await expect(writer.finish(Promise.reject(new Error('it failed')))).rejects.toThrow('it failed');
    expect(ended).toBe(1);
  });

  it('go without where the server takes none', async () => {
    const told: string[] = [];
    const store = openMemoryStore();
    const refusing = { ...store, put: () => Promise.reject(new CarportError('E_REMOTE', 'it takes none')) };
    const infos = fan(2099, 'refused');
    const writer = createBatchWriter(infos, [], { objects: refusing, emit: (event) => told.push(event.message) });
    for (const info of infos) writer.add(info.path, 'x\n');
    await writer.finish();
    expect(told).toEqual([expect.stringContaining('takes no batches of narinfos')]);
  });

  it.each<[string, () => Promise<Buffer>]>([
    ['no zstd', async () => Buffer.from('StorePath: x\n')],
    ['nothing', async () => Buffer.alloc(0)],
    ['half', async () => (await compressDocument(Buffer.from(`${'StorePath: x\n'.repeat(50)}`), 3)).subarray(0, 30)],
    ['a bomb', () => compressDocument(Buffer.alloc(17 * 1024 * 1024, '\n'), 3)],
    [
      'a second frame',
      async () => {
        const texts = [`StorePath: /${'0'.repeat(32)}-a\n`, `\nStorePath: /${'1'.repeat(32)}-b\n`];
        return Buffer.concat(await Promise.all(texts.map((text) => compressDocument(Buffer.from(text), 3))));
      },
    ],
    ['no line end', () => compressDocument(Buffer.from('StorePath: /nix/store/x'), 3)],
    ['no path', () => compressDocument(Buffer.from('URL: x\n\nURL: y\n'), 3)],
    [
      'one twice',
      () => compressDocument(Buffer.from(`StorePath: /${'0'.repeat(32)}-a\n\nStorePath: /${'0'.repeat(32)}-b\n`), 3),
    ],
    [
      'too many',
      () => {
        const paths = Array.from({ length: 2049 }, (_, n) => `StorePath: /${String(n).padStart(32, '0')}-a\n`);
        return compressDocument(Buffer.from(paths.join('\n')), 3);
      },
    ],
  ])('are none where there is %s', async (_, bytes) => {
    await expect(parseBatch(await bytes())).rejects.toMatchObject({ code: 'E_FORMAT' });
  });
});

describe('a pull of paths that were pushed together', () => {
  it('asks for the root, and for the batch', async () => {
    const infos = fan(150, 'wide');
    const { objects, asked } = await createBatchedCache([infos], [KEY]);
    const { fetch } = await plan([objects], [infos.at(-1)!]);
    expect(new Set(fetch.map(({ info }) => info.path))).toEqual(new Set(infos.map(({ path }) => path)));
    expect(asked()).toEqual({ narInfos: 1, batches: 1 });
    for (const { info } of fetch) expect(info).toEqual(await readNarInfo(objects, hashPartOf(info.path)));
  });

  it('asks for the batch of a chain when a part of it was asked for one by one', async () => {
    const infos: PathInfo[] = [];
    for (let index = 0; index < 60; index++)
      infos.push(
        path(
          `chain-${index}`,
          infos.slice(-1).map((info) => info.path),
        ),
      );
    const { objects, asked } = await createBatchedCache([infos], [KEY]);
    await plan([objects], [infos.at(-1)!]);
    expect(asked().batches).toBe(1);
    expect(asked().narInfos).toBeLessThan(10);
  });

  it('asks for the batches of several pushes, and of a large one', async () => {
    const below = fan(2100, 'below');
    const above = fan(
      100,
      'above',
      below.map(({ path }) => path),
    );
    const { objects, asked } = await createBatchedCache([below, above], []);
    expect((await plan([objects], [above.at(-1)!], [])).fetch).toHaveLength(2202);
    // A path by itself tells of each batch that the root's does not have.
    expect(asked().batches).toBe(3);
    expect(asked().narInfos).toBeLessThan(6);
  });

  it('asks for few of many by themselves', async () => {
    const infos = fan(200, 'few');
    const root = { ...fan(5, 'root')[5]!, references: infos.slice(0, 10).map(({ path }) => path) };
    const { objects, asked } = await createBatchedCache([[...infos, root]], [KEY]);
    expect((await plan([objects], [root])).fetch).toHaveLength(11);
    expect(asked()).toEqual({ narInfos: 11, batches: 0 });
  });

  it('asks for few of what was pushed before by themselves, where what refers to them comes from a batch', async () => {
    const before = fan(300, 'before');
    const above = fan(
      60,
      'after',
      before.slice(0, 2).map(({ path }) => path),
    );
    const { objects, asked } = await createBatchedCache([before, above], []);
    expect((await plan([objects], [above.at(-1)!], [])).fetch).toHaveLength(63);
    expect(asked()).toEqual({ narInfos: 3, batches: 1 });
  });

  it('asks a directory for each: there it costs nothing', async () => {
    const infos = fan(50, 'near');
    const { objects, asked } = await createBatchedCache([infos], [KEY]);
    await plan([{ ...objects, traits: { ...objects.traits, isImmediate: true } }], [infos.at(-1)!]);
    expect(asked()).toEqual({ narInfos: 51, batches: 0 });
  });

  it('asks by itself for what was signed anew since, and trusts no other key', async () => {
    const infos = fan(30, 'signed');
    const { objects, store, asked } = await createBatchedCache([infos], [KEY]);
    for (const info of infos) {
      const old = (await readNarInfo(store, hashPartOf(info.path)))!;
      await writeNarInfo(store, { ...old, signatures: fakeNarInfo(info, [NEW]).signatures });
    }
    const { fetch } = await plan([objects], [infos.at(-1)!], [NEW.publicKey]);
    expect(fetch.every(({ info }) => info.signatures[0]!.startsWith('new-1:'))).toBe(true);
    expect(asked()).toEqual({ narInfos: 31, batches: 1 });
  });

  it.each<[string, (name: string, store: WriteStore, infos: readonly PathInfo[]) => Promise<unknown>]>([
    ['is not there', (name, store) => store.remove([batchKey(name)])],
    ['is damaged', (name, store) => store.put(batchKey(name), Buffer.from('no zstd'), TEXT)],
    [
      'has other contents, which nobody has signed',
      async (name, store, infos) => {
        const texts = infos.map((info) => {
          const other = { ...fakeNarInfo(info, [KEY]), narHash: hashBytes('sha256', 'evil') };
          return [hashPartOf(info.path), Buffer.from(renderNarInfo(other))] as const;
        });
        await writeBatch(store, name, new Map(texts));
      },
    ],
    [
      'has other paths under the names of these',
      async (name, store, infos) => {
        const texts = infos.map((info) => {
          const text = renderNarInfo(fakeNarInfo({ ...info, path: `${info.path}x` }, [KEY]));
          return [hashPartOf(info.path), Buffer.from(text)] as const;
        });
        await writeBatch(store, name, new Map(texts));
      },
    ],
    [
      'refers to what is gone',
      async (name, store, infos) => {
        const gone = `/nix/store/${'1'.repeat(32)}-gone`;
        const texts = infos.map((info) => {
          const text = renderNarInfo(fakeNarInfo({ ...info, references: [gone] }, [KEY]));
          return [hashPartOf(info.path), Buffer.from(text)] as const;
        });
        await writeBatch(store, name, new Map(texts));
      },
    ],
  ])('is made of each by itself where the batch %s', async (_, change) => {
    const infos = fan(30, 'hostile');
    const { objects, store } = await createBatchedCache([infos], [KEY]);
    await change(toldBatch((await readNarInfo(store, hashPartOf(infos[0]!.path)))!)!.name, store, infos);
    const { fetch } = await plan([objects], [infos.at(-1)!]);
    expect(fetch).toHaveLength(31);
    for (const { info } of fetch) expect(info).toEqual(await readNarInfo(store, hashPartOf(info.path)));
  });

  it('names no batch of which nobody knows, and takes no path twice, whatever narinfos name', async () => {
    const infos = fan(40, 'strange');
    const { objects, store, asked } = await createBatchedCache([infos], [KEY]);
    for (const [index, info] of infos.entries()) {
      const old = (await readNarInfo(store, hashPartOf(info.path)))!;
      const name = `${String(index).padStart(24, '0')}`;
      await writeNarInfo(store, inBatch(old, { name, count: 1 + index }));
    }
    expect((await plan([objects], [infos.at(-1)!])).fetch).toHaveLength(41);
    // Each that was asked for in vain leads to another one, until fewer are left than a batch is asked for.
    expect(asked()).toEqual({ narInfos: 41, batches: 38 });
  });

  it.each([
    ['cannot be reached', 'E_UNAVAILABLE', 1],
    ['has another narinfo, which is not for readers', 'E_CREDENTIALS', 2],
  ] as const)('asks anew where a hint leads to what %s, if the hint can be at fault', async (_, code, times) => {
    const infos = fan(30, 'led');
    const far = path('far');
    const low = { ...infos[0]!, references: [far.path] };
    const farKey = narInfoKey(hashPartOf(far.path));
    const pushed = [far, low, ...infos.slice(1)];
    const { objects, calls } = await createBatchedCache([pushed], [], (call) => {
      if (call === `read ${farKey}`) throw new CarportError(code, 'not here');
    });
    await expect(plan([objects], [infos.at(-1)!], [])).resolves.toBeDefined();
    const batch = toldBatch((await readNarInfo(objects, hashPartOf(low.path)))!)!;
    const texts = (await readBatch(objects, batch.name))!;
    texts.delete(hashPartOf(far.path));
    await writeBatch(objects, batch.name, texts);
    calls.length = 0;
    await expect(plan([objects], [infos.at(-1)!], [])).rejects.toMatchObject({ code });
    expect(calls.filter((call) => call === `read ${narInfoKey(hashPartOf(infos.at(-1)!.path))}`)).toHaveLength(times);
  });

  it('looks again at what it knows from a batch where its NAR is not there', async () => {
    const infos = fan(30, 'moved');
    const { objects, store } = await createBatchedCache([infos], [KEY]);
    const { fetch } = await plan([objects], [infos.at(-1)!]);
    const planned = fetch.find(({ info }) => info.path === infos[3]!.path)!;
    const sources = {
      caches: [objects],
      trust: { keys: [KEY.publicKey], allowUnsigned: false },
      emit: () => undefined,
    };
    const gone = new CarportError('E_NOT_FOUND', 'it is gone');
    const attempt = async ({ info }: { readonly info: { readonly url: string } }) => {
      if (info.url !== 'nar/new.nar') throw gone;
      return info.url;
    };
    await expect(fromFirstThatCan(planned, sources, attempt)).rejects.toBe(gone);
    await writeNarInfo(store, { ...planned.info, url: 'nar/new.nar' });
    expect(await fromFirstThatCan(planned, sources, attempt)).toBe('nar/new.nar');
  });
});
