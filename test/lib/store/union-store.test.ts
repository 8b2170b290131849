import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { PathInfo } from '#lib/nix/path-info.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { type OwnStore, openOwnStore } from '#lib/store/own/own-store.js';
import { uniteStores } from '#lib/store/union-store.js';
import { fileOf, useDirectory } from '../../support/files.js';
import { infoOf, placeTree, writerOf } from '../../support/own-store.js';
import { usePool } from '../../support/pool.js';

const pool = usePool(1);
const directory = useDirectory();
const place = (store: OwnStore, name: string, references: readonly PathInfo[] = []) =>
  placeTree(
    store,
    pool,
    name,
    fileOf(name),
    references.map(({ path }) => path),
  );
const pathsOf = (infos: readonly PathInfo[]) => infos.map(({ path }) => path).sort();

function twoStores() {
  const [first, second] = ['first', 'second'].map((name) => openOwnStore(join(directory(), name))) as [
    OwnStore,
    OwnStore,
  ];
  return { first, second, both: uniteStores([first, second]) };
}

describe('several stores as one', () => {
  it('have the paths of each, and none that no one has', async () => {
    const { first, second, both } = twoStores();
    const [a, b] = [await place(first, 'a'), await place(second, 'b')];
    const missing = infoOf('missing', fileOf('missing'));
    expect([...(await both.queryInfos(pathsOf([a, b, missing]))).keys()].sort()).toEqual(pathsOf([a, b]));
    expect(await both.queryHashParts()).toEqual(new Map([a, b].map(({ path }) => [hashPartOf(path), path])));
    expect(both.storeDir).toBe('/nix/store');
    expect(both.realStoreDirs).toEqual([...first.realStoreDirs, ...second.realStoreDirs]);
    expect(both.description).toBe(`${first.description} and ${second.description}`);
  });

  it('may have one that cannot be asked, which matters for what the others do not have', async () => {
    const { second } = twoStores();
    const fail = () => Promise.reject(new Error('it does not work'));
    const broken = { ...second, realStoreDirs: [], queryInfos: fail, queryClosure: fail, queryHashParts: fail };
    const both = uniteStores([broken, second]);
    const a = await place(second, 'a');
    expect([...(await both.queryInfos([a.path])).keys()]).toEqual([a.path]);
    expect([...(await both.queryClosure([a.path])).keys()]).toEqual([a.path]);
    expect(await both.queryHashParts()).toEqual(new Map([[hashPartOf(a.path), a.path]]));
    await expect(both.queryInfos([infoOf('missing', fileOf('missing')).path])).rejects.toThrow('it does not work');
  });

  it('find each path where it lies', async () => {
    const { first, second, both } = twoStores();
    const [a, b] = [await place(first, 'a'), await place(second, 'b')];
    await both.queryInfos(pathsOf([a, b]));
    expect(both.realPath(a)).toBe(first.realPath(a));
    expect(both.realPath(b)).toBe(second.realPath(b));
  });

  it('take a path that both have from the first', async () => {
    const { first, second, both } = twoStores();
    const a = await place(first, 'a');
    await place(second, 'a');
    const graph = await both.queryInfos([a.path]);
    expect(graph.size).toBe(1);
    expect(both.realPath(a)).toBe(first.realPath(a));
  });

  it('take a path that both have from the first, also in closures of paths of the second', async () => {
    const { first, second, both } = twoStores();
    const a = await place(first, 'a');
    const signed = { ...(await place(second, 'a')), signatures: ['key:AAAA'] };
    await (await writerOf(second, pool)).register(signed);
    const [b, c] = [await place(first, 'b', [a]), await place(second, 'c', [a])];
    const graph = await both.queryClosure([b.path, c.path]);
    expect([...graph.keys()].sort()).toEqual(pathsOf([a, b, c]));
    expect(graph.get(a.path)!.signatures).toEqual([]);
    expect((await second.queryInfos([a.path])).get(a.path)!.signatures).toEqual(signed.signatures);
    expect(both.realPath(a)).toBe(first.realPath(a));
  });

  it('give closures that go from one to the other and back', async () => {
    const { first, second, both } = twoStores();
    const a = await place(first, 'a');
    const b = await place(second, 'b', [a]);
    const c = await place(first, 'c', [b]);
    const d = await place(second, 'd', [c]);
    await place(second, 'other', [a]);
    for (const roots of [[d], [c, d], [d, a]]) {
      expect([...(await both.queryClosure(pathsOf(roots))).keys()].sort()).toEqual(pathsOf([a, b, c, d]));
    }
    expect([a, b, c, d].map((info) => both.realPath(info))).toEqual([
      first.realPath(a),
      second.realPath(b),
      first.realPath(c),
      second.realPath(d),
    ]);
  });

  it('leave out of a closure what none has', async () => {
    const { first, second, both } = twoStores();
    const missing = infoOf('missing', fileOf('missing'));
    const a = await place(first, 'a', [missing]);
    const b = await place(second, 'b', [a]);
    expect([...(await both.queryClosure([b.path, missing.path])).keys()].sort()).toEqual(pathsOf([a, b]));
  });
});
