import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readBatch } from '#cache/batches/document.js';
import { toldBatch } from '#cache/batches/field.js';
import { createRenewal } from '#cache/batches/renew.js';
import { readNarInfo } from '#cache/binary-cache.js';
import { planErase } from '#cache/erase.js';
import { lookAtDocuments } from '#cache/fsck/look/documents.js';
import { NO_MEMORY, openNarInfoMemory } from '#cache/gc/narinfo-memory.js';
import { applyCollection, planCollection, SWEEPING } from '#cache/gc/session.js';
import { batchKey, batchNameOfKey } from '#cache/layout.js';
import { resignPaths } from '#cache/resign/paths.js';
import { signClosures } from '#cache/signatures.js';
import { CarportError } from '#lib/errors.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import type { MemoryObjects } from '#lib/object-store/memory.js';
import type { ObjectStore, WriteStore } from '#lib/object-store/object-store.js';
import type { ActivityEvent } from '#lib/work.js';
import { createBatchedCache } from '../../support/batched-cache.js';
import { fakeFan } from '../../support/fake-paths.js';
import { sampleKey } from '../../support/samples.js';
import { pinPolicy, SEEN_NOTHING } from '../../support/transfers.js';

const [KEY, NEW] = [sampleKey('test-1'), sampleKey('new-1', 2)];
const DAY = 86_400_000;
const work = { emit: () => {}, signal: new AbortController().signal };
const trust = { keys: [KEY.publicKey], allowUnsigned: false };
const TEXT = { contentType: 'text/plain' };

/** Hash parts and texts of a batch. */
async function textsOf(store: ObjectStore, name: string) {
  return [...((await readBatch(store, name)) ?? [])].map(([hashPart, text]) => [hashPart, text.toString()] as const);
}

/** The same of the narinfos of paths by themselves. */
async function aloneOf(store: ObjectStore, infos: readonly PathInfo[]) {
  const read = async (hashPart: string) => (await store.read(`${hashPart}.narinfo`, 9999))?.toString() ?? '';
  return Promise.all(infos.map(async ({ path }) => [hashPartOf(path), await read(hashPartOf(path))] as const));
}

/** Makes objects as old as if they had been written so many days ago. */
function age(content: MemoryObjects, isIt: (key: string) => boolean, days: number): void {
  for (const [key, object] of content) {
    if (isIt(key)) content.set(key, { ...object, modified: new Date(Date.now() - days * DAY) });
  }
}

async function collect(store: WriteStore, emit: (event: ActivityEvent) => void = work.emit) {
  const request = {
    pins: { policy: pinPolicy(trust), seen: SEEN_NOTHING, history: 1000 },
    ...{ sources: [], keepNewerThan: 30 * DAY, maxSize: undefined },
  };
  const plan = await planCollection(store, request, { ...work, memory: NO_MEMORY });
  return applyCollection(store, plan, request, { ...work, emit }, { ...SWEEPING, patience: 0 });
}

describe('batches of narinfos', () => {
  it('say what narinfos say that were signed again, by all ways to sign', async () => {
    const infos = fakeFan(20, 'signed');
    const { store, batchKeys } = await createBatchedCache([infos], [KEY]);
    const name = batchNameOfKey(batchKeys()[0]!)!;
    await signClosures(store, [infos.at(-1)!.path], [NEW], trust);
    const second = await textsOf(store, name);
    expect(second).toEqual(await aloneOf(store, infos));
    expect(second[0]![1]).toContain('Sig: new-1:');
    await resignPaths(
      store,
      { keys: [NEW], remove: [KEY.name], trust: { ...trust, keys: [NEW.publicKey] }, dryRun: false },
      work,
    );
    const third = await textsOf(store, name);
    expect(third).toEqual(await aloneOf(store, infos));
    expect(third[0]![1]).not.toContain('Sig: test-1:');
    expect(toldBatch((await readNarInfo(store, hashPartOf(infos[0]!.path)))!)).toEqual({ name, count: 21 });
  });

  it.each(['read', 'put'])(
    'stay as they are where the server refuses to %s them, and the rest is done',
    async (method) => {
      const infos = fakeFan(10, 'refused');
      const { objects, store } = await createBatchedCache([infos], [KEY], (call) => {
        if (call.startsWith(`${method} carport/batches/`)) throw new CarportError('E_CREDENTIALS', 'it may not');
      });
      expect(await signClosures(objects, [infos.at(-1)!.path], [NEW], trust)).toHaveLength(11);
      expect((await aloneOf(store, infos)).every(([, text]) => text.includes('Sig: new-1:'))).toBe(true);
    },
  );

  it('are written anew as soon as all of their narinfos are', async () => {
    const infos = fakeFan(10, 'soon');
    let onWritten: () => void = () => undefined;
    const { objects, store } = await createBatchedCache([infos], [KEY], (call) => {
      if (call.startsWith('put carport/batches/')) onWritten();
    });
    const renewal = createRenewal(objects);
    // The work ends when the batch is written, and would never.
    const work = new Promise<void>((resolve) => {
      onWritten = resolve;
    });
    for (const { path } of infos) renewal.note((await readNarInfo(store, hashPartOf(path)))!);
    await renewal.finish(work);
  });

  it('stay away where somebody has removed them', async () => {
    const infos = fakeFan(20, 'away');
    const { store, batchKeys } = await createBatchedCache([infos], [KEY]);
    await store.remove(batchKeys());
    await signClosures(store, [infos.at(-1)!.path], [NEW], trust);
    expect(batchKeys()).toEqual([]);
  });

  it('lose what a collection removes, and go with the last of it', async () => {
    const [old, mixed, kept] = [fakeFan(10, 'old'), fakeFan(10, 'mixed'), fakeFan(10, 'kept')];
    const { objects, store, content, calls, batchKeys } = await createBatchedCache([old, mixed, kept], [KEY]);
    const [first, second, third] = batchKeys();
    const gone = new Set([...old, ...mixed.slice(3)].map(({ path }) => hashPartOf(path)));
    const ofGone = (key: string) => gone.has(key.slice(0, 32)) || gone.has(key.slice(4, 36));
    age(content, (key) => ofGone(key) || key === first, 60);
    const before = content.get(third!);
    expect(await collect(objects)).toMatchObject({ paths: 19 });
    // The others are all gone, or all there.
    expect(calls.filter((call) => call.startsWith('read carport/batches/'))).toEqual([`read ${second}`]);
    expect(batchKeys()).toEqual([second, third]);
    expect(await textsOf(store, batchNameOfKey(second!)!)).toEqual(await aloneOf(store, mixed.slice(0, 3)));
    expect(content.get(third!)).toBe(before);
  });

  it('stay in a collection while they may be of a push under way, and go later with what nobody can read', async () => {
    const [old, coming] = [fakeFan(10, 'gone'), fakeFan(10, 'coming')];
    const { store, content, batchKeys } = await createBatchedCache([old, coming], [KEY]);
    const [, second] = batchKeys();
    await store.remove(coming.map(({ path }) => `${hashPartOf(path)}.narinfo`));
    await store.put(batchKey('0'.repeat(24)), Buffer.from('no zstd'), TEXT);
    age(content, (key) => key.includes(hashPartOf(old.at(-1)!.path)), 60);
    await collect(store);
    expect(batchKeys()).toHaveLength(3);
    age(content, (key) => key !== 'nix-cache-info' && !key.includes('narinfo'), 2);
    age(content, (key) => key.includes(hashPartOf(old[0]!.path)), 60);
    await collect(store);
    expect(batchKeys()).not.toContain(second);
    expect(batchKeys()).toHaveLength(1);
  });

  it('go in a collection that removes nothing, too, once none of their paths is there by other means', async () => {
    const [gone, half, kept, young] = [
      fakeFan(10, 'gone'),
      fakeFan(10, 'half'),
      fakeFan(10, 'kept'),
      fakeFan(9, 'new'),
    ];
    const { store, content, calls, objects, batchKeys } = await createBatchedCache([gone, half, kept, young], [KEY]);
    const [first, second, third, fourth] = batchKeys();
    const away = [...gone, ...half.slice(4), ...young].map(({ path }) => hashPartOf(path));
    await store.remove(away.flatMap((hashPart) => [`${hashPart}.narinfo`, `nar/${hashPart}.nar`]));
    age(content, (key) => [first, second, third].includes(key), 2);
    expect(await collect(objects)).toMatchObject({ paths: 0 });
    expect(batchKeys()).toEqual([second, third, fourth]);
    expect(await textsOf(store, batchNameOfKey(second!)!)).toEqual(await aloneOf(store, half.slice(0, 4)));
    expect(calls).not.toContain(`read ${fourth}`);
  });

  it('stay as they are where a collection may not read them, which it tells', async () => {
    const infos = fakeFan(10, 'forbidden');
    const told: string[] = [];
    const { objects, content, batchKeys } = await createBatchedCache([infos], [KEY], (call) => {
      if (call.startsWith('read carport/batches/')) throw new CarportError('E_CREDENTIALS', 'it may not');
    });
    const kept = infos.slice(0, 3).map(({ path }) => hashPartOf(path));
    age(content, (key) => key !== 'nix-cache-info' && !kept.some((hashPart) => key.includes(hashPart)), 60);
    expect(await collect(objects, (event) => 'message' in event && told.push(event.message))).toMatchObject({
      paths: 8,
    });
    expect(batchKeys()).toHaveLength(1);
    expect(told).toEqual([expect.stringContaining('one batch of narinfos')]);
  });

  it('are remembered by a collection with what narinfos say', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'carport-test-'));
    try {
      const listed = { packed: new Uint8Array(20).fill(1), md5: new Uint8Array(16).fill(2), size: 3, modified: 4 };
      const others = { name: 'a', narKey: 'nar/b', narSize: 5, references: new Uint8Array(40).fill(6) };
      const batch = { name: '0'.repeat(24), count: 2048 };
      for (const facts of [
        { ...others, deriver: '7'.repeat(32), batch },
        { ...others, deriver: undefined, batch },
        { ...others, deriver: '7'.repeat(32), batch: undefined },
      ]) {
        const first = await openNarInfoMemory(directory, 's3://cache');
        await first.note(listed, facts);
        await first.keep();
        await first.close();
        const second = await openNarInfoMemory(directory, 's3://cache');
        expect(await second.recall(listed)).toMatchObject({ ...facts, references: Uint8Array.from(facts.references) });
        await second.close();
      }
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  it('are looked at by a check, and belong to the cache', async () => {
    const [good, gone, young] = [fakeFan(10, 'good'), fakeFan(10, 'gone'), fakeFan(10, 'young')];
    const { store, content, batchKeys } = await createBatchedCache([good, gone, young], [KEY]);
    const [first, second, third] = batchKeys();
    await store.put(batchKey('0'.repeat(24)), Buffer.from('no zstd'), TEXT);
    await store.put(batchKey('1'.repeat(24)), content.get(first!)!.bytes.slice(0, 100), TEXT);
    await store.put('carport/batches/other', Buffer.from(''), TEXT);
    const there = new Set(good.map(({ path }) => hashPartOf(path)));
    const modified = new Map(batchKeys().map((key) => [key, Date.now() - (key === third ? 0 : 2 * DAY)]));
    const surroundings = { hasPath: (hashPart: string) => there.has(hashPart), trust, time: Date.now(), modified };
    const found = await lookAtDocuments(store, batchKeys(), surroundings, work.signal);
    expect(found.map(({ kind, key }) => [kind, key])).toEqual([
      ['batch-orphaned', second],
      ['batch-damaged', batchKey('0'.repeat(24))],
      ['batch-damaged', batchKey('1'.repeat(24))],
      ['foreign', 'carport/batches/other'],
    ]);
    expect((await planErase(store)).keys).toEqual(expect.arrayContaining(batchKeys()));
  });
});
