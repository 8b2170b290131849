import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it, vi } from 'vitest';
import { openChunkMemory } from '#cache/delta/chunk-memory.js';
import { pushClosure } from '#cache/push/session.js';
import { CUTTING } from '#lib/compression/chunks/density.js';
import { CarportError } from '#lib/errors.js';
import { hashBytes, hashesEqual } from '#lib/nix/hash.js';
import { parseNarInfo, renderNarInfo } from '#lib/nix/narinfo.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { type MemoryObjects, openMemoryStore } from '#lib/object-store/memory.js';
import type { ObjectStore } from '#lib/object-store/object-store.js';
import { runtimeClosure } from '#lib/store/closure.js';
import { type OwnStore, openOwnStore } from '#lib/store/own/own-store.js';
import { usePool } from '../../support/pool.js';
import { type Build, makeBuild, pathOf } from '../../support/rebuilds.js';
import { sampleKey } from '../../support/samples.js';
import { useSandbox } from '../../support/sandbox.js';
import { type TestServer, useCacheServers } from '../../support/serve.js';
import { pinPolicy, SEEN_NOTHING } from '../../support/transfers.js';

const KEY = sampleKey('test-1');
const OLD = { number: 1 };
const NEW = { number: 2, patched: true };

const box = useSandbox('all');
const serve = useCacheServers();
const pool = usePool(1);
const content: MemoryObjects = new Map();
let local: OwnStore;
let paths: readonly string[];
let read = 0;

beforeAll(async () => {
  local = openOwnStore(box().path('local'));
  await makeBuild(local, pool, OLD);
  paths = await pushBuild(NEW, content);
});

/** Fills a cache; gives the paths that it has. */
async function pushBuild(build: Build, into: MemoryObjects): Promise<readonly string[]> {
  const from = openOwnStore(box().path(`builds-${Object.keys(build)}-${build.number}`));
  const closure = await runtimeClosure(from, [await makeBuild(from, pool, build)]);
  const request = {
    ...{ store: from, own: from, closure, keys: [KEY] },
    packing: { compression: 'zstd', level: 3, listing: false },
    pins: {
      requests: [],
      signing: { keys: [KEY], policy: pinPolicy({ keys: [], allowUnsigned: false }), seen: SEEN_NOTHING },
    },
    ...{ checkAll: false, skipSignedBy: { names: [], origin: 'the test' }, realisations: [], dryRun: false },
  } as const;
  const work = { pool, emit: () => {}, signal: new AbortController().signal };
  await pushClosure(openMemoryStore(into), request, work);
  return [...closure.graph.keys()];
}

/** Counts the bytes of NARs that are read. */
function counted(objects: ObjectStore): ObjectStore {
  return {
    ...objects,
    async read(key, limit) {
      const bytes = await objects.read(key, limit);
      if (key.startsWith('nar/')) read += bytes?.length ?? 0;
      return bytes;
    },
    async open(key, range) {
      const object = await objects.open(key, range);
      read += object?.size ?? 0;
      return object;
    },
  };
}

const start = ({
  objects = counted(openMemoryStore(content)),
  store = local,
  memory = 'memory',
  now = (): number => 0,
  room = undefined as number | undefined,
} = {}) =>
  serve({
    ...{ caches: [objects], now, ...(room !== undefined && { room }) },
    delta: { stores: [async () => store], storeDir: '/nix/store', memory: box().path(memory) },
  });

async function expectAll({ get }: TestServer): Promise<number> {
  let size = 0;
  for (const path of paths) {
    const info = parseNarInfo((await get(`/${hashPartOf(path)}.narinfo`)).body.toString('latin1'));
    const { body } = await get(`/${info.url}`);
    expect(hashesEqual(hashBytes('sha256', body), info.narHash)).toBe(true);
    size += info.narSize;
  }
  return size;
}

it('takes what is here, and fetches the rest', async () => {
  read = 0;
  const size = await expectAll(await start());
  expect(read).toBeGreaterThan(0);
  // One of the chunks of the large path, which cannot be compressed.
  expect(read).toBeLessThan(0.4 * size);
});

/** Whether it is written down what the large local path holds. */
async function isRemembered(memory: string): Promise<boolean> {
  const info = [...(await local.queryInfos([pathOf('large-2.0', OLD)])).values()][0]!;
  const content = { realPath: local.realPath(info), narHash: info.narHash.digest, narSize: info.narSize };
  return (await openChunkMemory(box().path(memory))).recall(content, CUTTING) !== undefined;
}

it('remembers how a path is cut that it has made, where Nix puts it, before the store tells of that', async () => {
  const { get } = await start({ memory: 'made' });
  const large = paths.find((path) => path.endsWith('-large-2.0'))!;
  const { narHash, narSize, url } = parseNarInfo((await get(`/${hashPartOf(large)}.narinfo`)).body.toString('latin1'));
  await get(`/${url}`);
  const content = { realPath: large, narHash: narHash.digest, narSize };
  const isKnown = async () => (await openChunkMemory(box().path('made'))).recall(content, CUTTING) !== undefined;
  await vi.waitFor(async () => expect(await isKnown()).toBe(true), { timeout: 30_000 });
});

it('remembers what a plan has computed that took long, and asks a server that is gone once', async () => {
  let time = 0;
  const store = {
    ...local,
    async queryHashParts() {
      time += 61_000;
      return local.queryHashParts();
    },
  };
  const whole: string[] = [];
  const objects = openMemoryStore(content);
  const lost: typeof objects = {
    ...objects,
    async open(key, range) {
      if (range === undefined) whole.push(key);
      throw new CarportError('E_UNAVAILABLE', 'the server is lost');
    },
  };
  const { get } = await start({ objects: lost, store, memory: 'another', now: () => time });
  const large = paths.find((path) => path.endsWith('-large-2.0'))!;
  const info = parseNarInfo((await get(`/${hashPartOf(large)}.narinfo`)).body.toString('latin1'));
  const { body } = await get(`/${info.url}`);
  expect(body.length).toBeLessThan(info.narSize);
  expect(whole).toEqual([]);
  await vi.waitFor(async () => expect(await isRemembered('another')).toBe(true), { timeout: 60_000 });
});

it('fetches a NAR as a whole where its table says that what is here is in it, and a large one the next time', async () => {
  const swapped = { number: 2, swapped: true };
  const [lying, before]: [MemoryObjects, MemoryObjects] = [new Map(), new Map()];
  await pushBuild(swapped, lying);
  await pushBuild(OLD, before);
  const infoOf = async (objects: MemoryObjects, build: Build) => {
    const bytes = await openMemoryStore(objects).read(`${hashPartOf(pathOf('large-2.0', build))}.narinfo`, 10_000);
    return parseNarInfo(bytes!.toString('latin1'));
  };
  const info = { ...(await infoOf(lying, swapped)), unknownFields: (await infoOf(before, OLD)).unknownFields };
  const key = `${hashPartOf(info.path)}.narinfo`;
  await openMemoryStore(lying).put(key, Buffer.from(renderNarInfo(info), 'latin1'), { contentType: 'text/plain' });
  /** Whether the first and second download are right, of a server that has so much room. */
  const areRight = async (room: number | undefined) => {
    const { get } = await start({ objects: openMemoryStore(lying), memory: `lies ${room}`, ...(room && { room }) });
    const { url } = parseNarInfo((await get(`/${key}`)).body.toString('latin1'));
    const isRight = async () => hashesEqual(hashBytes('sha256', (await get(`/${url}`)).body), info.narHash);
    return [await isRight(), await isRight()];
  };
  expect(await areRight(undefined)).toEqual([true, true]);
  expect(await areRight(1000)).toEqual([false, true]);
});

it('fetches a NAR as a whole where what is here is not what it was', async () => {
  const directory = join(local.realPath({ path: pathOf('large-2.0', OLD) }));
  await chmod(directory, 0o755);
  await chmod(join(directory, 'data'), 0o644);
  await writeFile(join(directory, 'data'), 'damaged');
  read = 0;
  const size = await expectAll(await start());
  expect(read).toBeGreaterThan(0.5 * size);
});
