import { createHash, hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Root } from '#cache/gc/mark.js';
import { NO_MEMORY, openNarInfoMemory } from '#cache/gc/narinfo-memory.js';
import { applyCollection, type GcRequest, planCollection, SWEEPING } from '#cache/gc/session.js';
import { LEASE_PLACE } from '#cache/leases/documents.js';
import { setPin } from '#cache/pins/set.js';
import { encodeNix32 } from '#lib/nix/base32.js';
import { hashBytes } from '#lib/nix/hash.js';
import { renderNarInfo } from '#lib/nix/narinfo.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { watchedStore } from '#lib/object-store/decorators/watched.js';
import { putSigned } from '#lib/object-store/documents.js';
import { type MemoryObjects, openMemoryStore } from '#lib/object-store/memory.js';
import type { WriteStore } from '#lib/object-store/object-store.js';
import { useDirectory } from '../../support/files.js';
import { sampleKey } from '../../support/samples.js';
import { pinPolicy, SEEN_NOTHING } from '../../support/transfers.js';

const KEY = sampleKey('gc-1');
const DAY = 86_400_000;
const pathOf = (name: string) =>
  `/nix/store/${encodeNix32(createHash('sha256').update(name).digest().subarray(0, 20))}-${name}`;
const partOf = (name: string) => hashPartOf(pathOf(name));

interface Options {
  readonly references?: readonly string[];
  readonly days?: number;
  readonly nar?: string;
  readonly deriver?: string;
  readonly size?: number;
}

/** A cache in memory to which paths are added as if they had been pushed so many days ago. */
function createCache() {
  const content: MemoryObjects = new Map();
  const now = Date.UTC(2026, 10, 28);
  const put = (key: string, bytes: Uint8Array | string, days = 0) =>
    content.set(key, {
      bytes: Buffer.from(bytes),
      metadata: { contentType: 'text/plain' },
      modified: new Date(now - days * DAY),
      etag: hash('md5', bytes),
    });
  const add = (name: string, { references = [], days = 100, nar = name, deriver, size = 100 }: Options = {}) => {
    const url = `nar/${nar}.nar`;
    const digest = hashBytes('sha256', nar);
    const info = {
      ...{ path: pathOf(name), narHash: digest, narSize: size, references: references.map(pathOf), signatures: [] },
      ...{ url, compression: 'none', unknownFields: [], ...(deriver !== undefined && { deriver: pathOf(deriver) }) },
    };
    put(`${partOf(name)}.narinfo`, renderNarInfo(info), days);
    put(`${partOf(name)}.ls`, '{}', days);
    if (!content.has(url)) put(url, Buffer.alloc(size), days);
  };
  put('nix-cache-info', 'StoreDir: /nix/store\n', 200);
  const objects = openMemoryStore(content, { url: 's3://collected', now: () => new Date(now) });
  /** Names of paths and NARs, and other keys but listings. */
  const left = () =>
    [...content.keys()].filter(
      (key) => !key.endsWith('.ls') && key !== 'nix-cache-info' && !key.startsWith('carport/'),
    );
  return { content, put, add, objects, left };
}

const requestOf = (changes: Partial<GcRequest> = {}): GcRequest => ({
  pins: { policy: pinPolicy({ keys: [KEY.publicKey], allowUnsigned: false }), seen: SEEN_NOTHING, history: 1000 },
  sources: [],
  keepNewerThan: 30 * DAY,
  maxSize: undefined,
  ...changes,
});

const work = { emit: () => {}, signal: new AbortController().signal };
const plan = (objects: WriteStore, request = requestOf(), memory = NO_MEMORY) =>
  planCollection(objects, request, { ...work, memory });

async function collect(objects: WriteStore, request = requestOf()) {
  const sweeping = { ...SWEEPING, patience: 0 };
  return applyCollection(objects, await plan(objects, request), request, work, sweeping);
}

const pin = (objects: WriteStore, name: string, path: string) =>
  setPin(
    objects,
    { storePaths: [pathOf(path)], derivations: [] },
    { name, expiresAt: null, keep: 30, discardHistory: false },
    { keys: [KEY], policy: pinPolicy({ keys: [], allowUnsigned: false }), seen: SEEN_NOTHING },
  );

const keysOf = (...names: string[]) => names.flatMap((name) => [`${partOf(name)}.narinfo`, `nar/${name}.nar`]);

describe('a collection of garbage', () => {
  it('keeps what roots, leases and age keep, with all that it refers to, and removes the rest in two times', async () => {
    const { add, objects, left } = createCache();
    for (const name of ['pinned', 'before', 'released', 'leased', 'young', 'old']) {
      add(`${name}-lib`);
      add(name, { references: [`${name}-lib`], days: name === 'young' ? 29 : 100 });
    }
    await pin(objects, 'tool', 'before');
    await pin(objects, 'tool', 'pinned');
    const lease = { id: partOf('id'), seconds: 600, process: '', hashParts: partOf('leased'), waitsFor: [] };
    await putSigned(objects, LEASE_PLACE, lease, []);
    const release: Root = { kind: 'release', name: 'v1', hashParts: [partOf('released')] };
    const request = requestOf({ sources: [async () => [release]] });
    const planned = await plan(objects, request);
    expect(planned.totals).toMatchObject({ paths: 12, removedPaths: 2, removedObjects: 4, laterBytes: 200 });
    expect(planned.shares.map(({ kind, name, paths, bytes }) => [kind, name, paths, bytes])).toEqual([
      ['lease', '', 2, 200],
      ['pin', 'tool', 4, 400],
      ['release', 'v1', 2, 200],
    ]);
    expect(planned.young).toMatchObject({ paths: 2 });
    expect(await collect(objects, request)).toMatchObject({ paths: 2, objects: 4, spared: 0, narsLeft: 0 });
    const kept = ['pinned', 'before', 'released', 'leased', 'young'].flatMap((name) => keysOf(name, `${name}-lib`));
    expect(left().sort()).toEqual([...kept, 'nar/old.nar', 'nar/old-lib.nar'].sort());
    // A push that is under way may rely on a NAR.
    expect(await collect(objects, request)).toMatchObject({ objects: 0, narsLeft: 2 });
    await objects.remove([LEASE_PLACE.keyOf(lease)]);
    await collect(objects, request);
    expect(left().filter((key) => key.startsWith('nar/old'))).toEqual([]);
    expect(left()).toContain(`${partOf('pinned')}.narinfo`);
  });

  it('keeps a NAR as long as one of its paths stays', async () => {
    const { add, objects, left } = createCache();
    add('young', { days: 1, nar: 'shared' });
    add('old', { nar: 'shared' });
    await collect(objects);
    await collect(objects);
    expect(left().sort()).toEqual([`${partOf('young')}.narinfo`, 'nar/shared.nar'].sort());
  });

  it('lets listings, logs, realisations and debug information live and die with what they belong to', async () => {
    const { add, put, objects, content } = createCache();
    for (const [name, days] of [
      ['old', 100],
      ['young', 1],
    ] as const) {
      add(name, { days, deriver: `${name}.drv` });
      put(`log/${pathOf(`${name}.drv`).slice(11)}`, '', 100);
      put(`realisations/sha256:${name}!out.doi`, JSON.stringify({ outPath: pathOf(name).slice(11) }), 100);
      put(`build-trace-v2/${name}.drv/out.doi`, JSON.stringify({ outPath: pathOf(name) }), 100);
      put(`debuginfo/${name}.debug`, JSON.stringify({ archive: `../nar/${name}.nar`, member: 'lib' }), 100);
    }
    put('realisations/sha256:damaged!out.doi', 'no JSON', 100);
    put('index.html', 'not of a cache', 100);
    put(`${partOf('gone')}.ls`, '{}', 100);
    put(`${partOf('sent-just-now')}.ls`, '{}', 1);
    await collect(objects);
    await collect(objects);
    const left = [...content.keys()].filter((key) => !key.startsWith('carport/')).sort();
    expect(left).toEqual(
      [
        ...keysOf('young'),
        ...[`${partOf('young')}.ls`, `log/${pathOf('young.drv').slice(11)}`, `${partOf('sent-just-now')}.ls`],
        ...['realisations/sha256:young!out.doi', 'build-trace-v2/young.drv/out.doi', 'debuginfo/young.debug'],
        ...['realisations/sha256:damaged!out.doi', 'index.html', 'nix-cache-info'],
      ].sort(),
    );
  });

  it('keeps what belongs to a path that comes back meanwhile, and what is too large to be understood', async () => {
    const { add, put, objects, content } = createCache();
    const belongings = [
      ['realisations/sha256:back!out.doi', JSON.stringify({ outPath: pathOf('back').slice(11) })],
      ['build-trace-v2/back.drv/out.doi', JSON.stringify({ outPath: pathOf('back') })],
      [`log/${pathOf('back.drv').slice(11)}`, ''],
      ['realisations/sha256:large!out.doi', ' '.repeat(2_000_000)],
    ] as const;
    for (const [key, text] of belongings) put(key, text, 100);
    put('realisations/sha256:gone!out.doi', JSON.stringify({ outPath: pathOf('gone').slice(11) }), 100);
    const request = requestOf();
    const planned = await plan(objects, request);
    add('back', { days: 0, deriver: 'back.drv' });
    await applyCollection(objects, planned, request, work, { ...SWEEPING, patience: 0 });
    for (const [key] of belongings) expect([...content.keys()], key).toContain(key);
    expect([...content.keys()]).not.toContain('realisations/sha256:gone!out.doi');
  });

  it('plans from an inventory without listing all, and spares what has come since', async () => {
    const { add, objects, content, left } = createCache();
    add('old');
    add('needed');
    add('pinned');
    const rows = [...content].map(([key, { bytes, modified, etag }]) => ({
      ...{ key, size: bytes.length, modified },
      ...(etag !== undefined && { md5: etag }),
    }));
    const inventory = { bucket: 'collected', time: new Date(await objects.now()), objects: rows };
    await pin(objects, 'tool', 'pinned');
    add('new', { references: ['needed'], days: 0 });
    const lists: string[] = [];
    const watched = watchedStore(objects, {
      before({ method, keys }) {
        if (method === 'list') lists.push(...keys);
      },
    });
    const request = requestOf();
    const planned = await planCollection(watched, request, { ...work, memory: NO_MEMORY, inventory });
    expect(lists).not.toContain('');
    expect(planned.totals).toMatchObject({ paths: 3, removedPaths: 2 });
    await applyCollection(watched, planned, request, work, { ...SWEEPING, patience: 0 });
    expect(left().sort()).toEqual([...keysOf('new', 'needed', 'pinned'), 'nar/old.nar'].sort());
  });

  it('removes referrers before what they refer to', async () => {
    const { add, objects } = createCache();
    add('a');
    add('b', { references: ['a'] });
    add('c', { references: ['b', 'a'] });
    const removed: string[][] = [];
    const watched = watchedStore(objects, {
      before({ method, keys }) {
        if (method === 'remove') removed.push(keys.filter((key) => key.endsWith('.narinfo')));
      },
    });
    await collect(watched);
    expect(removed.filter(({ length }) => length > 0)).toEqual(
      ['c', 'b', 'a'].map((name) => [`${partOf(name)}.narinfo`]),
    );
  });

  it('makes the cache small: what was pushed least recently goes first, and nothing that is a day old', async () => {
    const { add, objects, left } = createCache();
    for (const days of [0, 2, 3, 4]) add(`days-${days}`, { days, size: 10_000 });
    const request = requestOf({ maxSize: 21_000 });
    await collect(objects, request);
    await collect(objects, request);
    expect(left().sort()).toEqual(keysOf('days-0', 'days-2').sort());
    await collect(objects, requestOf({ maxSize: 0 }));
    expect(left()).toContain(`${partOf('days-0')}.narinfo`);
  });

  it.each([
    ['a narinfo that cannot be read', `${partOf('bad')}.narinfo`, 'no narinfo'],
    ['a pin that is damaged', 'carport/pins/bad.json', '{}'],
    ['a pin that nobody has signed', 'carport/pins/tool.json', undefined],
    ['a lease that cannot be read', 'carport/leases/bad.json', '{}'],
  ])('stops at %s, says which, and removes nothing', async (_, key, bytes) => {
    const { add, put, objects, content } = createCache();
    add('old');
    if (bytes === undefined) await pin(objects, 'tool', 'old');
    else put(key, bytes);
    const policy = pinPolicy({ keys: [], allowUnsigned: false });
    const request = requestOf(bytes === undefined ? { pins: { ...requestOf().pins, policy } } : {});
    const before = [...content.keys()];
    const failed = await collect(objects, request).then(
      () => undefined,
      (error: Error) => `${error.message} ${(error.cause as Error | undefined)?.message ?? ''}`,
    );
    expect(failed).toContain(key.replace(/^carport\/pins\/|\.json$/g, ''));
    expect([...content.keys()]).toEqual(before);
  });

  it('stops where a listing has lacked what is there', async () => {
    const { add, objects } = createCache();
    add('tool');
    await pin(objects, 'tool', 'tool');
    const lacking: WriteStore = {
      ...objects,
      async *list(options) {
        for await (const object of objects.list(options)) if (!object.key.startsWith(partOf('tool'))) yield object;
      },
    };
    await expect(collect(lacking)).rejects.toThrow('is not complete');
    // The second listing shows what the first one has not.
    let lists = 0;
    const once: WriteStore = { ...objects, list: (options) => (lists++ === 0 ? lacking : objects).list(options) };
    await expect(collect(once, requestOf({ sources: [] }))).rejects.toThrow('is not complete');
  });

  describe('the second time', () => {
    const directory = useDirectory();
    it('reads only narinfos that have changed', async () => {
      const { add, objects } = createCache();
      for (let number = 0; number < 50; number++) add(`path-${number}`, { references: number > 0 ? ['path-0'] : [] });
      const reads: string[] = [];
      const lists: string[] = [];
      const watched = watchedStore(objects, {
        before({ method, keys }) {
          if (method === 'read') reads.push(...keys.filter((key) => key.endsWith('.narinfo')));
          if (method === 'list') lists.push(...keys);
        },
      });
      const look = async () => {
        const memory = await openNarInfoMemory(directory(), objects.url);
        reads.length = 0;
        lists.length = 0;
        try {
          return (await plan(watched, requestOf(), memory)).totals;
        } finally {
          await memory.close();
        }
      };
      const first = await look();
      expect([reads.length, lists]).toEqual([50, ['']]);
      expect(await look()).toEqual(first);
      expect(reads).toEqual([]);
      add('path-7', { days: 50 });
      add('more');
      expect(await look()).toMatchObject({ removedPaths: 51 });
      expect(reads.sort()).toEqual([`${partOf('path-7')}.narinfo`, `${partOf('more')}.narinfo`].sort());
    });
  });
});
