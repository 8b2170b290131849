import { existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { addToStore } from '#lib/store/own/add.js';
import { collectGarbage } from '#lib/store/own/collect-garbage.js';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { fileOf, writeTree } from '../../../support/files.js';
import { createNixStore, describeWithNix, type NixStore } from '../../../support/nix.js';
import { usePool } from '../../../support/pool.js';

describeWithNix('collecting garbage in a root that is Nix’s, too,', () => {
  const pool = usePool(1);
  let nix: NixStore;
  beforeAll(async () => {
    nix = await createNixStore();
    mkdirSync(join(nix.root, 'trees'));
  });
  afterAll(() => nix.remove());

  const tree = (name: string) => {
    const path = join(nix.root, 'trees', name);
    if (!existsSync(path)) writeTree(path, fileOf(name));
    return path;
  };

  it('removes no path of Nix’s, not even one that both have, and Nix removes what only carport had', async () => {
    const store = openOwnStore(nix.root);
    const add = async (name: string) =>
      (await addToStore({ path: tree(name), name, store, known: store, pool })).info.path;
    const ofNix = await nix.run('nix-store', ['--add', tree('nix')]);
    const ofBoth = await nix.run('nix-store', ['--add', tree('both')]);
    expect(await add('both')).toBe(ofBoth);
    const own = await add('own');

    const { storePaths, unregistered } = await collectGarbage(store);
    expect(storePaths).toEqual([ofBoth, own].sort());
    expect(unregistered).toEqual([]);
    expect((await store.queryAll()).size).toBe(0);
    await nix.run('nix-store', ['--verify', '--check-contents']);
    await nix.run('nix-store', ['--check-validity', ofNix, ofBoth]);

    expect(existsSync(nix.realPath(own))).toBe(true);
    await nix.run('nix-store', ['--gc']);
    expect(existsSync(nix.realPath(own))).toBe(false);
  });

  it('removes no path of Nix’s where Nix’s state is elsewhere', async () => {
    const store = openOwnStore(join(nix.root, 'other'));
    // As in a container that has the store dir mounted, and nothing else of Nix.
    mkdirSync(join(nix.root, 'other/nix'), { recursive: true });
    symlinkSync(nix.realPath('/nix/store'), store.layout.realStoreDir);
    const paths = [
      await nix.run('nix-store', ['--add', tree('one')]),
      await nix.run('nix-store', ['--add', tree('two')]),
    ];
    const add = async (name: string) =>
      (await addToStore({ path: tree(name), name, store, known: store, pool })).info.path;
    expect(await add('one')).toBe(paths[0]);
    const own = await add('mine');
    const { storePaths, unregistered, leftAlone } = await collectGarbage(store);
    expect([storePaths, unregistered]).toEqual([[paths[0]!, own].sort(), []]);
    expect(leftAlone).toContain(paths[1]!.slice('/nix/store/'.length));
    expect(existsSync(nix.realPath(own))).toBe(false);
    await nix.run('nix-store', ['--verify', '--check-contents']);
    await nix.run('nix-store', ['--check-validity', ...paths]);
  });
});
