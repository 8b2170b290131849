import { spawn } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseNarInfo } from '#lib/nix/narinfo.js';
import { baseNameOf, hashPartOf } from '#lib/nix/store-path.js';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { verifyStore } from '#lib/store/own/verify.js';
import { directoryOf, fileOf, linkTo, noise, useDirectory, writeTree } from '../../../support/files.js';
import type { Tree } from '../../../support/nar.js';
import { infoOf, metadataOf, placeTree, writeClaim, writerOf } from '../../../support/own-store.js';
import { usePool } from '../../../support/pool.js';

const pool = usePool(2);
const directory = useDirectory();
const at = (...names: string[]): string => join(directory(), ...names);
const open = () => openOwnStore(at('root'));

const SHAPES: [string, Tree][] = [
  ['a file', fileOf('content')],
  ['an executable', fileOf('#!/bin/sh', true)],
  ['an empty file', fileOf('')],
  ['a symlink', linkTo('/nowhere')],
  ['a directory', directoryOf({ a: fileOf('a'), b: directoryOf({}) })],
  ['an empty directory', directoryOf({})],
];

/** What is in the way of a path: everything that a rename may meet. */
const OBSTACLES: [string, Tree][] = [
  ['a file', fileOf('damaged')],
  ['a symlink', linkTo('damaged')],
  ['an empty directory', directoryOf({})],
  ['a full directory', directoryOf({ damaged: fileOf('damaged') })],
];

describe('an own store', () => {
  it.each(SHAPES)('takes %s, and tells all of it', async (_, tree) => {
    const store = open();
    const info = await placeTree(store, pool, 'thing', tree);
    expect(await store.queryInfos([info.path])).toEqual(new Map([[info.path, expect.objectContaining(info)]]));
    expect([...(await store.queryAll()).keys()]).toEqual([info.path]);
    expect(await store.queryHashParts()).toEqual(new Map([[hashPartOf(info.path), info.path]]));
    expect(store.realPath(info)).toBe(at('root', info.path));
    expect(await verifyStore(store, store, { pool })).toEqual({
      checked: 1,
      problems: [],
      unregistered: [],
      leftAlone: [],
    });
  });

  it('keeps its metadata in narinfos, and nothing beside', async () => {
    const store = open();
    const dependency = await placeTree(store, pool, 'dependency', fileOf('x'));
    const info = await placeTree(store, pool, 'thing', fileOf('y'), [dependency.path]);
    const narinfo = parseNarInfo(readFileSync(metadataOf(store, info), 'latin1'));
    expect(narinfo).toMatchObject({ ...info, compression: 'none', references: [dependency.path] });
    expect(readdirSync(store.layout.infoDir)).toHaveLength(2);
    expect(readdirSync(store.layout.realStoreDir).sort()).toEqual(
      [info, dependency].map(({ path }) => baseNameOf(path)).sort(),
    );
  });

  it('that is not there yet is empty, and is not made by looking', async () => {
    const store = open();
    const info = infoOf('thing', fileOf('x'));
    expect((await store.queryInfos([info.path])).size).toBe(0);
    expect((await store.queryClosure([info.path])).size).toBe(0);
    expect((await store.queryAll()).size).toBe(0);
    expect((await store.queryHashParts()).size).toBe(0);
    expect(existsSync(at('root'))).toBe(false);
  });

  it('gives the closure of paths, and leaves out what is not there', async () => {
    const store = open();
    const a = await placeTree(store, pool, 'a', fileOf('a'));
    const b = await placeTree(store, pool, 'b', fileOf('b'), [a.path]);
    const gone = infoOf('gone', fileOf('gone'));
    const c = await placeTree(store, pool, 'c', fileOf('c'), [b.path, gone.path]);
    await placeTree(store, pool, 'other', fileOf('other'));
    expect([...(await store.queryClosure([c.path, gone.path])).keys()].sort()).toEqual(
      [a, b, c].map(({ path }) => path).sort(),
    );
  });

  it('does not have a path of the same hash part and another name', async () => {
    const store = open();
    const { path } = await placeTree(store, pool, 'thing', fileOf('x'));
    expect((await store.queryInfos([`${path}-more`])).size).toBe(0);
  });

  it('does not have a tree that is not registered', async () => {
    const store = open();
    const info = infoOf('thing', fileOf('x'));
    mkdirSync(store.layout.realStoreDir, { recursive: true });
    writeTree(store.realPath(info), fileOf('x'));
    expect((await store.queryInfos([info.path])).size).toBe(0);
    expect((await store.queryHashParts()).size).toBe(0);
    await placeTree(store, pool, 'other', fileOf('y'));
    expect((await verifyStore(store, store, { pool })).leftAlone).toEqual([baseNameOf(info.path)]);
  });

  it.each([
    ['empty', () => ''],
    ['cut', (text: string) => text.slice(0, 50)],
    ['noise', () => noise(1000).toString('latin1')],
    ['about another path', (text: string) => text.replace('-thing', '-other').replace(/store\/./, 'store/z')],
    ['of another store dir', (text: string) => text.replace('/nix/store', '/gnu/store')],
  ])('tells which metadata file is %s', async (_, damage) => {
    const store = open();
    const info = await placeTree(store, pool, 'thing', fileOf('x'));
    const file = metadataOf(store, info);
    writeFileSync(file, damage(readFileSync(file, 'latin1')), 'latin1');
    for (const query of [() => store.queryInfos([info.path]), () => store.queryAll()]) {
      const error = await query().catch((reason) => reason);
      expect(error).toMatchObject({ code: 'E_INTEGRITY', message: `the metadata file \`${file}\` is damaged` });
      expect(error.hint).toContain('carport store verify --repair');
      expect(error.cause).toBeInstanceOf(Error);
    }
  });
});

describe('placing a path where something was left', () => {
  it.each(SHAPES)('keeps %s that is whole', async (_, tree) => {
    const store = open();
    const info = infoOf('thing', tree);
    mkdirSync(store.layout.realStoreDir, { recursive: true });
    writeTree(store.realPath(info), tree);
    const writer = await writerOf(store, pool);
    expect(writer.hasLeft(info.path)).toBe(true);
    expect(await writer.isWhole(info)).toBe(true);
    await writer.register(info);
    expect((await verifyStore(store, store, { pool })).problems).toEqual([]);
    await placeTree(store, pool, 'thing', tree);
    expect(await verifyStore(store, store, { pool })).toEqual({
      checked: 1,
      problems: [],
      unregistered: [],
      leftAlone: [],
    });
  });

  it.each(OBSTACLES.flatMap(([obstacle, was]) => SHAPES.map(([shape, tree]) => ({ obstacle, shape, was, tree }))))(
    'puts $shape in the place of $obstacle that is damaged',
    async ({ was, tree }) => {
      const store = open();
      const info = infoOf('thing', tree);
      mkdirSync(store.layout.realStoreDir, { recursive: true });
      writeTree(store.realPath(info), was);
      const writer = await writerOf(store, pool);
      // One of the obstacles is one of the shapes, and then it is whole.
      if (JSON.stringify(was) !== JSON.stringify(tree)) expect(await writer.isWhole(info)).toBe(false);
      await placeTree(store, pool, 'thing', tree);
      expect(await verifyStore(store, store, { pool })).toEqual({
        checked: 1,
        problems: [],
        unregistered: [],
        leftAlone: [],
      });
      expect(readdirSync(store.layout.realStoreDir)).toHaveLength(1);
    },
  );

  it('leaves a tree that is whole where it is: others may be using it', async () => {
    const store = open();
    const tree = directoryOf({ file: fileOf('content') });
    const real = store.realPath(await placeTree(store, pool, 'thing', tree));
    const before = lstatSync(real).ino;
    await placeTree(store, pool, 'thing', tree);
    expect(lstatSync(real).ino).toBe(before);
  });

  it('knows a tree of a killed run as its own, and one of somebody else not, also when it is registered', async () => {
    const store = open();
    const [ours, theirs, placed] = ['ours', 'theirs', 'placed'].map((name) => infoOf(name, fileOf(name)));
    await writeClaim(store, ours!);
    for (const info of [ours!, theirs!, placed!]) writeTree(store.realPath(info), fileOf(info.path.slice(44)));
    const writer = await writerOf(store, pool);
    for (const info of [ours!, theirs!]) await writer.register(info);
    // Directories that are not empty, and were not there when the writer was made.
    const tree = directoryOf({ file: fileOf('x') });
    const raced = infoOf('raced', tree);
    writeTree(store.realPath(raced), tree);
    for (const [info, content] of [
      [raced, tree],
      [placed!, fileOf('placed')],
    ] as const) {
      const temporary = writer.temporaryName();
      writeTree(temporary, content);
      await writer.place(temporary, info);
      expect(existsSync(temporary)).toBe(false);
    }
    const found = [...(await store.queryAll()).values()].map((info) => [info.path, info.found ?? false]);
    expect(Object.fromEntries(found)).toEqual({
      [ours!.path]: false,
      [theirs!.path]: true,
      [placed!.path]: true,
      [raced.path]: true,
    });
    expect(readdirSync(store.layout.claimsDir)).toEqual([]);
    // Once more: what is said of it stays.
    for (const info of [ours!, theirs!]) await (await writerOf(store, pool)).register(info);
    expect((await store.queryInfos([ours!.path])).get(ours!.path)).not.toHaveProperty('found');
    expect((await store.queryInfos([theirs!.path])).get(theirs!.path)).toHaveProperty('found', true);
  });

  it('refuses a tree whose hash part another path has, and says what to do', async () => {
    const store = open();
    const { path } = await placeTree(store, pool, 'thing', fileOf('x'));
    const info = { ...infoOf('other', fileOf('x')), path: path.replace('-thing', '-other') };
    writeTree(store.realPath(info), fileOf('x'));
    const writer = await writerOf(store, pool);
    const error = await writer.register(info).catch((reason) => reason);
    expect(error).toMatchObject({
      code: 'E_INTEGRITY',
      message: expect.stringContaining(`has the hash part of \`${path}\``),
    });
    expect(error.hint).toContain('carport store info');
    expect([...(await store.queryAll()).keys()]).toEqual([path]);
  });

  it('registers nothing when the tree is gone', async () => {
    const store = open();
    const writer = await writerOf(store, pool);
    const info = infoOf('thing', fileOf('x'));
    await expect(writer.place(writer.temporaryName(), info)).rejects.toMatchObject({ code: 'ENOENT' });
    expect((await store.queryAll()).size).toBe(0);
  });

  it('is registered by both when another process finds the tree first', async () => {
    const store = open();
    const info = infoOf('thing', directoryOf({ file: fileOf('x') }));
    const writer = await writerOf(store, pool);
    await writeClaim(store, info);
    writeTree(store.realPath(info), directoryOf({ file: fileOf('x') }));
    // One that has begun later finds it, registers it and takes the claim away.
    await (await writerOf(store, pool)).register(info);
    const temporary = writer.temporaryName();
    writeTree(temporary, directoryOf({ file: fileOf('x') }));
    await writer.place(temporary, info);
    expect([...(await store.queryAll()).values()].map(({ found }) => found)).toEqual([undefined]);
    expect(readdirSync(store.layout.claimsDir)).toEqual([]);
  });

  it('finds nothing where nothing was left', async () => {
    const info = infoOf('thing', fileOf('x'));
    const writer = await writerOf(open(), pool);
    expect(writer.hasLeft(info.path)).toBe(false);
    expect(await writer.isWhole(info)).toBe(false);
  });

  it('removes what killed processes left, and keeps what is being made', async () => {
    const store = open();
    const writer = await writerOf(store, pool);
    const own = writer.temporaryName();
    writeFileSync(own, 'x');
    const dead = `.carport-${'0'.repeat(12)}-1-${'0'.repeat(24)}`;
    writeFileSync(join(store.layout.realStoreDir, dead), 'x');
    await writerOf(store, pool);
    // Of another machine, and young.
    expect(readdirSync(store.layout.realStoreDir).sort()).toEqual([dead, baseNameOf(own)].sort());
    expect(await verifyStore(store, store, { pool })).toMatchObject({ unregistered: [], leftAlone: [] });
  });
});

describe('the same path, placed at the same time', () => {
  it.each<[string, Tree | undefined]>([['nothing', undefined], ...OBSTACLES])(
    'where %s was left, is there once and whole',
    async (_, was) => {
      const store = open();
      const tree = directoryOf({ file: fileOf('content') });
      mkdirSync(store.layout.realStoreDir, { recursive: true });
      if (was) writeTree(store.realPath(infoOf('thing', tree)), was);
      await Promise.all(Array.from({ length: 8 }, () => placeTree(store, pool, 'thing', tree)));
      expect(await verifyStore(store, store, { pool })).toEqual({
        checked: 1,
        problems: [],
        unregistered: [],
        leftAlone: [],
      });
      expect(readdirSync(store.layout.realStoreDir)).toHaveLength(1);
    },
  );

  it('by several processes, is there once and whole', async () => {
    const store = open();
    for (let index = 0; index < 10; index++) {
      writeTree(at(`tree-${index}`), directoryOf({ file: fileOf(`content ${index}`), link: linkTo('file') }));
    }
    const outputs = await Promise.all(Array.from({ length: 3 }, () => runAdder(at('root'), directory())));
    expect(new Set(outputs).size).toBe(1);
    const paths = outputs[0]!.trim().split('\n');
    expect(paths).toHaveLength(10);
    expect([...(await store.queryInfos(paths)).keys()].sort()).toEqual([...paths].sort());
    expect(await verifyStore(store, store, { pool })).toEqual({
      checked: 10,
      problems: [],
      unregistered: [],
      leftAlone: [],
    });
    expect(readdirSync(store.layout.realStoreDir)).toHaveLength(10);
    expect(readdirSync(store.layout.infoDir)).toHaveLength(10);
  });
});

/** A process that adds ten trees of a directory to a store; what it printed. */
function runAdder(root: string, trees: string): Promise<string> {
  const lib = new URL('../../../../dist/lib/', import.meta.url);
  const script = `
    import { addToStore } from '${lib}store/own/add.js';
    import { openOwnStore } from '${lib}store/own/own-store.js';
    import { createWorkerPool } from '${lib}workers/pool.js';
    const [root, trees] = process.argv.slice(2);
    const store = openOwnStore(root);
    const pool = createWorkerPool(2);
    const add = (index) => addToStore({ path: trees + '/tree-' + index, name: 'n', store, known: store, pool });
    const added = await Promise.all(Array.from({ length: 10 }, (_, index) => add(index)));
    for (const { info } of added) console.log(info.path);
    await pool.close();`;
  writeFileSync(join(trees, 'adder.mjs'), script);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(trees, 'adder.mjs'), root, trees]);
    const [output, errors]: [string[], string[]] = [[], []];
    child.stdout.on('data', (text) => output.push(String(text)));
    child.stderr.on('data', (text) => errors.push(String(text)));
    child.once('close', (code) => (code === 0 ? resolve(output.join('')) : reject(new Error(errors.join('')))));
  });
}
