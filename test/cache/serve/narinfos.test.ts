import { expect, it } from 'vitest';
import { narInfoKey } from '#cache/layout.js';
import { createNarInfos } from '#cache/serve/narinfos.js';
import { formatHash } from '#lib/nix/hash.js';
import { renderNarInfo } from '#lib/nix/narinfo.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { openMemoryStore } from '#lib/object-store/memory.js';
import type { ObjectStore } from '#lib/object-store/object-store.js';
import { signPath } from '#lib/signing/signature.js';
import { createBatchedCache } from '../../support/batched-cache.js';
import { fakeFan } from '../../support/fake-paths.js';
import { sampleKey } from '../../support/samples.js';

const hashPart = (number: number) => String(number).padStart(32, '0');

/** Narinfos with so many bytes of fields that Nix does not know, and how often one was asked for. */
function start(junk: string) {
  const asked = new Map<string, number>();
  const objects = {
    ...openMemoryStore(new Map()),
    async read(key: string) {
      const part = key.slice(0, 32);
      asked.set(part, (asked.get(part) ?? 0) + 1);
      const path = `StorePath: /nix/store/${part}-a\nURL: nar/x.nar\nCompression: none\n`;
      return Buffer.from(`${path}NarHash: sha256:${'0'.repeat(52)}\nNarSize: 100\nReferences: \n${junk}`);
    },
  };
  const { find } = createNarInfos({
    upstreams: { firstOf: (look: (from: unknown) => unknown) => look(objects) } as never,
    ...{ keys: [], now: () => 0 },
  });
  return async (number: number) => {
    expect((await find(hashPart(number)))?.info.narSize).toBe(100);
    return asked.get(hashPart(number));
  };
}

it('remembers narinfos by what they take, with all that Nix does not know', async () => {
  const small = start('Other: x\n');
  const large = start(`Other: ${'x'.repeat(100_000)}\n`);
  for (let number = 1; number <= 400; number++) expect([await small(number), await large(number)]).toEqual([1, 1]);
  // The newest are there, the oldest of the large ones not.
  expect([await small(1), await small(400), await large(400), await large(1)]).toEqual([1, 1, 1, 2]);
});

it('does not remember a narinfo that is larger than any of Nix', async () => {
  const many = start('A: x\n'.repeat(10_000));
  const long = start(`Other: ${'x'.repeat(1_000_000)}\n`);
  expect([await many(1), await many(1), await long(1), await long(1)]).toEqual([1, 2, 1, 2]);
});

const [KEY, NEW] = [sampleKey('test-1'), sampleKey('new-1', 2)];

/** Asks as Nix does: for the root, then for what it refers to, some at a time. What was said of all of them. */
async function askAll(objects: ObjectStore, infos: readonly PathInfo[], now = () => 0) {
  const upstreams = { firstOf: (look: (from: ObjectStore) => unknown) => look(objects) } as never;
  const narInfos = createNarInfos({ upstreams, keys: [], now });
  const find = async ({ path }: PathInfo) => (await narInfos.find(hashPartOf(path)))!.info;
  const [root, ...others] = [...infos].reverse();
  const found = [await find(root!)];
  for (let at = 0; at < others.length; at += 25) {
    found.push(...(await Promise.all(others.slice(at, at + 25).map(find))));
  }
  return found;
}

it('has narinfos of a closure from their batch', async () => {
  const infos = fakeFan(200, 'closure');
  const { objects, asked } = await createBatchedCache([infos], [KEY]);
  const found = await askAll(objects, infos);
  expect(found.map(({ path }) => path)).toEqual(infos.map(({ path }) => path).reverse());
  expect(asked().batches).toBe(1);
  // A sixteenth of them, and the root.
  expect(asked().narInfos).toBeLessThanOrEqual(14);
});

it('asks for each where others of the batch have a signature that it has not', async () => {
  const infos = fakeFan(40, 'signed');
  const { objects, store, asked } = await createBatchedCache([infos], [KEY]);
  for (const info of infos) {
    const key = narInfoKey(hashPartOf(info.path));
    const text = (await store.read(key, 9999))!.toString();
    await store.put(key, Buffer.from(`${text}Sig: ${signPath(info, NEW)}\n`), { contentType: 'text/plain' });
  }
  const found = await askAll(objects, infos);
  expect(found.every(({ signatures }) => signatures.length === 2)).toBe(true);
  expect(asked().narInfos).toBe(41);
});

it('takes nothing of a batch from what was said long ago', async () => {
  const infos = fakeFan(40, 'old');
  const { objects, store, asked } = await createBatchedCache([infos], [KEY]);
  let time = 0;
  const found = await askAll(objects, infos, () => {
    time += 20_000;
    return time;
  });
  expect([found.length, asked().batches]).toEqual([41, 0]);
  expect(renderNarInfo(found[0]!)).toBe((await store.read(narInfoKey(hashPartOf(found[0]!.path)), 99_999))!.toString());
});

it('asks for a narinfo by itself when a batch has told of a path that has gone, and its NAR was wanted', async () => {
  const infos = fakeFan(40, 'gone');
  const { objects, content } = await createBatchedCache([infos], [KEY]);
  const gone = infos[20]!;
  content.delete(narInfoKey(hashPartOf(gone.path)));
  const upstreams = {
    firstOf: (look: (from: ObjectStore) => unknown) => look(objects),
    inOrder: async () => [objects],
  };
  const narInfos = createNarInfos({ upstreams: upstreams as never, keys: [], now: () => 0 });
  for (const { path } of [...infos].reverse()) await narInfos.find(hashPartOf(path));
  const hashPart = hashPartOf(gone.path);
  const { info } = (await narInfos.find(hashPart))!;
  const having: string[] = [];
  for await (const found of narInfos.having(hashPart, formatHash(info.narHash, 'nix32'))) having.push(found.info.path);
  expect(having).toEqual([gone.path]);
  expect(await narInfos.find(hashPart)).toBeUndefined();
});
