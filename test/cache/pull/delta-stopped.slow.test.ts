import { chmodSync, lstatSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { openChunkMemory } from '#cache/delta/chunk-memory.js';
import type { PullEvent } from '#cache/pull/events.js';
import { pullClosure } from '#cache/pull/session.js';
import { createOwnTarget, type PullTarget } from '#cache/pull/target.js';
import { pushClosure } from '#cache/push/session.js';
import { CUTTING } from '#lib/compression/chunks/density.js';
import { CarportError } from '#lib/errors.js';
import { hashBytes } from '#lib/nix/hash.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { type MemoryObjects, openMemoryStore } from '#lib/object-store/memory.js';
import type { ByteRange, LinkStore, ObjectStore } from '#lib/object-store/object-store.js';
import { runtimeClosure } from '#lib/store/closure.js';
import { type OwnStore, openOwnStore } from '#lib/store/own/own-store.js';
import type { WorkerPool } from '#lib/workers/pool.js';
import { directoryOf, fileOf, noise, useDirectory, writeTree } from '../../support/files.js';
import { naiveNar } from '../../support/nar.js';
import { writerOf } from '../../support/own-store.js';
import { usePool } from '../../support/pool.js';
import { sampleKey } from '../../support/samples.js';
import { useSandbox } from '../../support/sandbox.js';
import { NO_LINKS, pinPolicy, SEEN_NOTHING } from '../../support/transfers.js';

const MIB = 1024 * 1024;
const KEY = sampleKey('test-1');
const OLD = `/nix/store/${'1'.repeat(32)}-large-1`;
const NEW = `/nix/store/${'2'.repeat(32)}-large-2`;
const OTHER_NEW = `/nix/store/${'3'.repeat(32)}-other-2`;
const FILES = `/nix/store/${'4'.repeat(32)}-files-1`;
/** What is the same of both, and what is fetched. */
const [SAME, OTHER] = [4 * MIB, 12 * MIB];

const shared = useSandbox('all');
const directory = useDirectory();
const pool = usePool(1);
const content: MemoryObjects = new Map();
const trust = pinPolicy({ keys: [KEY.publicKey], allowUnsigned: false });
const { signal } = new AbortController();
let store: OwnStore;
let requests: { key: string; range: ByteRange | undefined }[];
let warnings: string[];
let events: PullEvent[];

const treeOf = (path: string) =>
  path === FILES ? filesOf() : fileOf(Buffer.concat([noise(SAME, 'same'), noise(OTHER, path)]));
const filesOf = () => {
  const names = [...'0123456789abcdef'];
  return directoryOf(Object.fromEntries(names.map((name) => [name, fileOf(noise(MIB, name))])));
};

async function make(into: OwnStore, path: string): Promise<PathInfo> {
  const tree = treeOf(path);
  const nar = naiveNar(tree);
  const writer = await writerOf(into, pool);
  const temporary = writer.temporaryName();
  writeTree(temporary, tree);
  const info = { path, narHash: hashBytes('sha256', nar), narSize: nar.length, references: [], signatures: [] };
  await writer.place(temporary, info);
  return info;
}

beforeAll(async () => {
  const from = openOwnStore(shared().path('builds'));
  const paths = [NEW, OTHER_NEW, FILES];
  for (const path of paths) await make(from, path);
  const request = {
    ...{ store: from, own: from, closure: await runtimeClosure(from, paths), keys: [KEY] },
    packing: { compression: 'zstd', level: 3, listing: false },
    pins: { requests: [], signing: { keys: [KEY], policy: trust, seen: SEEN_NOTHING } },
    ...{ checkAll: false, skipSignedBy: { names: [], origin: 'the test' }, realisations: [], dryRun: false },
  } as const;
  await pushClosure(openMemoryStore(content), request, { pool, emit: () => {}, signal });
});
let old: PathInfo;
beforeEach(async () => {
  store = openOwnStore(join(directory(), 'store'));
  old = await make(store, OLD);
});

/** A server that is lost after so many bytes of a NAR; of `parts` it may send others than are there. */
function lostAfter(bytes: number, { parts = (piece: Uint8Array) => piece, url = 'memory:' } = {}): ObjectStore {
  const memory = openMemoryStore(content);
  return {
    ...memory,
    url,
    async open(key, range) {
      requests.push({ key, range });
      const object = await memory.open(key, range);
      const isTable = range !== undefined && range.length < 10_000;
      async function* some() {
        let left = bytes;
        for await (const piece of object!.bytes()) {
          yield (range && !isTable ? parts(piece) : piece).subarray(0, left);
          left -= piece.length;
          if (left <= 0) throw new CarportError('E_UNAVAILABLE', 'the server is lost');
        }
      }
      return object && { ...object, bytes: () => some() };
    },
  };
}

const memoryFile = () => join(directory(), 'state/local-chunks');
const pull = async (
  from: ObjectStore | readonly ObjectStore[],
  {
    whole = false,
    paths = [NEW],
    by = pool,
    into = createOwnTarget(store),
  }: { whole?: boolean; paths?: readonly string[]; by?: WorkerPool; into?: PullTarget } = {},
) => {
  requests = [];
  warnings = [];
  events = [];
  const request = {
    targets: paths.map((path) => ({ hashPart: hashPartOf(path) })),
    destination: into,
    ...{ trust, seen: SEEN_NOTHING, links: NO_LINKS, dryRun: false },
    delta: whole ? undefined : { stores: [async () => store], storeDir: store.storeDir, memory: memoryFile() },
  };
  const emit = (event: PullEvent) => {
    events.push(event);
    if (event.type === 'warning') warnings.push(event.message);
  };
  return pullClosure([from].flat(), request, { pool: by, emit, signal });
};
const planned = () => events.find((event) => event.type === 'plan');
const left = () => readdirSync(store.layout.realStoreDir).filter((name) => name.startsWith('.'));
const asked = () => requests.reduce((sum, { range }) => sum + (range?.length ?? Number.POSITIVE_INFINITY), 0);

it('goes on with what was fetched before the server was lost, of which no more is asked', async () => {
  await expect(pull(lostAfter(9 * MIB))).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
  expect(requests.every(({ range }) => range !== undefined)).toBe(true);
  expect(warnings).toEqual([]);
  const content = { realPath: store.realPath(old), narHash: old.narHash.digest, narSize: old.narSize };
  expect((await openChunkMemory(memoryFile())).recall(content, CUTTING)).toBeDefined();
  await pull(lostAfter(Number.POSITIVE_INFINITY));
  expect(asked()).toBeLessThan(OTHER - 5 * MIB);
  expect(asked()).toBeGreaterThan(0);
  expect(await store.queryInfos([NEW])).toHaveProperty('size', 1);
  expect(warnings).toEqual([]);
});

it('goes on where it is told to take nothing from other paths, and tells of what is here', async () => {
  await expect(pull(lostAfter(14 * MIB), { whole: true })).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
  expect(left()).toHaveLength(1);
  await pull(lostAfter(Number.POSITIVE_INFINITY), { whole: true });
  expect(asked()).toBeLessThan(5 * MIB);
  const { fetchSize, hereSize } = planned()!;
  expect(fetchSize! + hereSize!).toBeGreaterThan(SAME + OTHER);
  expect(fetchSize! + hereSize!).toBeLessThan(SAME + OTHER + MIB);
  expect(fetchSize).toBeLessThan(5 * MIB);
  expect([left(), warnings]).toEqual([[], []]);
});

it('gives the path the files that were ended, and nobody else has them then', async () => {
  await expect(pull(lostAfter(9 * MIB), { paths: [FILES] })).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
  const [tree] = left();
  const { ino } = lstatSync(join(store.layout.realStoreDir, tree!, '0'));
  await pull(lostAfter(Number.POSITIVE_INFINITY), { paths: [FILES] });
  expect(asked()).toBeLessThan(10 * MIB);
  expect(lstatSync(join(store.realPath({ path: FILES }), '0'))).toMatchObject({ ino, nlink: 1 });
  expect([left(), warnings]).toEqual([[], []]);
});

it('fetches all where a file is not what it was, and keeps nothing of that', async () => {
  await expect(pull(lostAfter(9 * MIB), { paths: [FILES] })).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
  const file = join(store.layout.realStoreDir, left()[0]!, '0');
  chmodSync(file, 0o644);
  writeFileSync(file, noise(MIB, 'other'));
  chmodSync(file, 0o444);
  utimesSync(file, 1, 1);
  await pull(lostAfter(Number.POSITIVE_INFINITY), { paths: [FILES] });
  expect(warnings).toEqual([expect.stringContaining('fetching all of it')]);
  const { narHash } = (await store.queryInfos([FILES])).get(FILES)!;
  expect((await pool.run({ type: 'hash', path: store.realPath({ path: FILES }) })).narHash).toEqual(narHash);
  expect(left()).toEqual([]);
});

it('goes on in the next cache, when the first is lost', async () => {
  await pull([lostAfter(9 * MIB, { url: 'memory:first' }), lostAfter(Number.POSITIVE_INFINITY)], { whole: true });
  const [whole, ...others] = requests.filter(({ key }) => key.startsWith('nar/'));
  expect(whole!.range).toBeUndefined();
  expect(others.reduce((sum, { range }) => sum + (range?.length ?? Number.POSITIVE_INFINITY), 0)).toBeLessThan(
    SAME + OTHER - 6 * MIB,
  );
  expect(left()).toEqual([]);
});

it('fetches all where what comes of it is wrong, and keeps nothing of that', async () => {
  await expect(pull(lostAfter(9 * MIB))).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
  await pull(lostAfter(Number.POSITIVE_INFINITY, { parts: (piece) => Buffer.alloc(piece.length) }));
  expect(warnings).toEqual([expect.stringContaining('fetching all of it')]);
  expect(asked()).toBe(Number.POSITIVE_INFINITY);
  expect(await store.queryInfos([NEW])).toHaveProperty('size', 1);
  expect(left()).toEqual([]);
});

it('removes what it has left when the path comes of a cache that tells nothing of its parts', async () => {
  const bare: ObjectStore = {
    ...lostAfter(Number.POSITIVE_INFINITY, { url: 'memory:bare' }),
    async read(key, limit) {
      const bytes = await openMemoryStore(content).read(key, limit);
      return bytes && Buffer.from(bytes.toString('latin1').replace(/^CarportChunks: .*\n/m, ''), 'latin1');
    },
  };
  await pull([lostAfter(9 * MIB, { url: 'memory:first' }), bare], { whole: true });
  expect(requests.filter(({ key, range }) => key.startsWith('nar/') && range === undefined)).toHaveLength(2);
  expect(left()).toEqual([]);
});

it('removes what was left of a path that is there whole', async () => {
  await expect(pull(lostAfter(9 * MIB), { whole: true })).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
  expect(left()).toHaveLength(1);
  // A run that was killed had placed it, and not registered it.
  writeTree(store.realPath({ path: NEW }), treeOf(NEW));
  await pull(lostAfter(0), { whole: true });
  expect(await store.queryInfos([NEW])).toHaveProperty('size', 1);
  expect(left()).toEqual([]);
});

it('asks whether several ranges come in one answer where it goes on, also if it takes nothing from other paths', async () => {
  let asked = 0;
  const server = (bytes: number): ObjectStore => {
    const objects = lostAfter(bytes);
    const link: LinkStore['link'] = (key) => ({
      read: (limit) => objects.read(key, limit),
      stat: () => objects.stat(key),
      open: (range) => objects.open(key, range),
    });
    return Object.assign(objects, { link, findOutRanges: () => void asked++, sendsManyRanges: () => false });
  };
  await expect(pull(server(9 * MIB), { whole: true })).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
  expect(asked).toBe(0);
  await pull(server(Number.POSITIVE_INFINITY), { whole: true });
  expect(asked).toBe(1);
});

const FULL = new CarportError('E_IO', 'the disk is full', { cause: Object.assign(new Error(), { code: 'ENOSPC' }) });

it('fetches all of a path when its tree had to make room, and goes on with those that are being made', async () => {
  for (const path of [NEW, OTHER_NEW]) {
    const stopped = pull(lostAfter(9 * MIB), { whole: true, paths: [path] });
    await expect(stopped).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
  }
  expect(left()).toHaveLength(2);
  // The first to be made of its tree has no room, and the second has begun by then, and goes on when the first has made room.
  const second = createSignal();
  const roomMade = createSignal();
  let made = 0;
  const run: WorkerPool['run'] = async (job, options) => {
    if (job.type !== 'unpack') return pool.run(job, options);
    if (job.assembly === undefined) roomMade.give();
    else if (++made === 1) {
      await second.given;
      throw FULL;
    } else {
      second.give();
      await roomMade.given;
    }
    return pool.run(job, options);
  };
  // No more large paths are begun than there are threads.
  const by = { ...pool, size: 2, run };
  await pull(lostAfter(Number.POSITIVE_INFINITY), { whole: true, paths: [NEW, OTHER_NEW], by });
  expect(warnings).toEqual([]);
  expect(made).toBe(2);
  const wholeOnes = requests.filter(({ key, range }) => key.startsWith('nar/') && range === undefined);
  expect(wholeOnes).toHaveLength(1);
  expect(await store.queryInfos([NEW, OTHER_NEW])).toHaveProperty('size', 2);
  expect(left()).toEqual([]);
});

it('fetches all of a path whose tree had to make room before the path had its turn', async () => {
  await expect(pull(lostAfter(9 * MIB), { whole: true })).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
  const target = createOwnTarget(store);
  const gaveUp: boolean[] = [];
  const nothingTaken: PullTarget = {
    ...target,
    receive: (by, until, work) =>
      target.receive(by, until, (receiver) => {
        const trees = receiver.leftTrees!;
        const keep: typeof trees.keep = async (path) => {
          gaveUp.push(await trees.giveUp());
          return trees.keep(path);
        };
        return work({ ...receiver, leftTrees: { ...trees, keep } });
      }),
  };
  await pull(lostAfter(Number.POSITIVE_INFINITY), { whole: true, into: nothingTaken });
  expect([gaveUp, warnings]).toEqual([[true, false], []]);
  expect(asked()).toBe(Number.POSITIVE_INFINITY);
  expect(await store.queryInfos([NEW])).toHaveProperty('size', 1);
  expect(left()).toEqual([]);
});

function createSignal() {
  let give = (): void => {};
  const given = new Promise<void>((resolve) => {
    give = resolve;
  });
  return { given, give };
}
