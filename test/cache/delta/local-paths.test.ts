import { mkdirSync, readdirSync, utimesSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, it } from 'vitest';
import { createLocalPaths } from '#cache/delta/local-paths.js';
import { CHUNK_SIZES } from '#lib/compression/chunks/chunker.js';
import type { Hash } from '#lib/nix/hash.js';
import type { NarInfo } from '#lib/nix/narinfo.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import type { Store } from '#lib/store/store.js';
import { useDirectory } from '../../support/files.js';

const temporary = useDirectory();
const FIRST = CHUNK_SIZES.first;
const MIB = 1024 * 1024;
const narHash: Hash = { algorithm: 'sha256', digest: Buffer.alloc(32) };
const pathOf = (letter: string) => `/nix/store/${letter.repeat(32)}-tool-1`;
const infoOf = (path: string, narSize: number) => ({ path, narHash, narSize, references: [], signatures: [] });

/** Which of the paths, each of so many bytes, are taken from for one of another size. */
async function taken(sizes: Readonly<Record<string, number>>, narSize: number, fileSize: number) {
  const paths = new Map(Object.entries(sizes).map(([letter, size]) => [pathOf(letter), infoOf(pathOf(letter), size)]));
  const store: Pick<Store, 'storeDir' | 'realStoreDirs' | 'queryHashParts' | 'queryInfos' | 'realPath'> = {
    ...{ storeDir: '/nix/store', realStoreDirs: ['/nix/store'], realPath: ({ path }) => path },
    queryHashParts: async () => new Map([...paths.keys()].map((path) => [hashPartOf(path), path])),
    queryInfos: async () => paths,
  };
  const locals = createLocalPaths([async () => store as Store], '/nix/store', () => 0);
  const wanted: NarInfo = {
    ...{ ...infoOf(pathOf('z'), narSize), fileSize, url: 'nar/z', compression: 'zstd', unknownFields: [] },
  };
  const found = await locals.like([wanted], []);
  return (found.get(wanted.path) ?? []).map(({ path }) => path[11]).join('');
}

it('takes for a NAR of one chunk one of the very size only, and no such one for a larger', async () => {
  expect(await taken({ a: 999, b: 1000, c: 1001, d: 5 * MIB }, 1000, 500)).toBe('b');
  expect(await taken({ a: FIRST, b: FIRST - 8, c: 2 * MIB }, FIRST, MIB)).toBe('a');
  expect(await taken({ a: FIRST, b: 3 * MIB }, 4 * MIB, MIB)).toBe('b');
});

it('has no more cut than what may be saved is worth', async () => {
  const sizes = { a: 100 * MIB, b: 101 * MIB, c: 102 * MIB };
  expect(await taken(sizes, 100 * MIB, 30 * MIB)).toBe('abc');
  expect(await taken(sizes, 100 * MIB, 13 * MIB)).toBe('ab');
  // Zeros, say: to fetch all takes less long.
  expect(await taken(sizes, 100 * MIB, 2 * MIB)).toBe('a');
  expect(await taken({ a: 300 * MIB }, 100 * MIB, 2 * MIB)).toBe('');
});

it('takes from no store that does not answer, and does not ask it again at once', async () => {
  let asked = 0;
  const hung: Pick<Store, 'storeDir' | 'realStoreDirs' | 'queryHashParts' | 'queryInfos' | 'realPath'> = {
    ...{ storeDir: '/nix/store', realStoreDirs: ['/nix/store'], realPath: ({ path }) => path },
    queryHashParts: async () => new Map([[hashPartOf(pathOf('a')), pathOf('a')]]),
    queryInfos: () => {
      asked++;
      return new Promise(() => {});
    },
  };
  const wanted: NarInfo = {
    ...{ ...infoOf(pathOf('z'), 1000), fileSize: 500, url: 'nar/z', compression: 'zstd', unknownFields: [] },
  };
  const locals = createLocalPaths([async () => hung as Store], '/nix/store', () => 0, 20);
  for (const _ of [1, 2]) expect((await locals.like([wanted], [])).size).toBe(0);
  expect(asked).toBe(1);
});

/** A store that says how often it was read, which takes so long; and how many paths of it are like a wanted one. */
function changingStore(tookMs: number) {
  const directory = temporary();
  const told = { reads: 0, time: 0, tookMs };
  const changing: Pick<Store, 'storeDir' | 'realStoreDirs' | 'queryHashParts' | 'queryInfos' | 'realPath'> = {
    ...{ storeDir: '/nix/store', realStoreDirs: [directory], realPath: ({ path }) => path },
    async queryHashParts() {
      told.reads++;
      told.time += told.tookMs;
      const paths = readdirSync(directory).map((name) => `/nix/store/${name}`);
      return new Map(paths.map((path) => [hashPartOf(path), path]));
    },
    queryInfos: async (paths) => new Map(paths.map((path) => [path, infoOf(path, 1000)])),
  };
  const wanted: NarInfo = {
    ...{ ...infoOf(pathOf('z'), 1000), fileSize: 500, url: 'nar/z', compression: 'zstd', unknownFields: [] },
  };
  const locals = createLocalPaths([async () => changing as Store], '/nix/store', () => told.time);
  // Systems differ in how finely they tell times.
  let changes = 0;
  const come = (letter: string) => {
    mkdirSync(join(directory, basename(pathOf(letter))));
    utimesSync(directory, 1000 + ++changes, 1000 + changes);
  };
  const found = async () => [(await locals.like([wanted], [])).get(wanted.path)?.length ?? 0, told.reads];
  return { told, come, found };
}

it('sees at once what has come to a store, unless that changes all the time', async () => {
  const { told, come, found } = changingStore(0);
  expect(await found()).toEqual([0, 1]);
  expect(await found()).toEqual([0, 1]);
  come('a');
  expect(await found()).toEqual([1, 2]);
  come('b');
  told.tookMs = 100;
  expect(await found()).toEqual([2, 3]);
  come('c');
  told.time += 1000;
  expect(await found()).toEqual([2, 3]);
  told.time += 1000;
  expect(await found()).toEqual([3, 4]);
});

it('sees what has come sooner where it knew nothing of that name', async () => {
  const { told, come, found } = changingStore(500);
  expect(await found()).toEqual([0, 1]);
  come('a');
  expect(await found()).toEqual([0, 1]);
  told.time += 500;
  expect(await found()).toEqual([1, 2]);
});
