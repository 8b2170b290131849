import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { hashesEqual } from '#lib/nix/hash.js';
import { nameOf } from '#lib/nix/store-path.js';
import { openNixStore } from '#lib/store/nix/store.js';
import { type Added, addToStore } from '#lib/store/own/add.js';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { verifyStore } from '#lib/store/own/verify.js';
import type { Store } from '#lib/store/store.js';
import { uniteStores } from '#lib/store/union-store.js';
import { directoryOf, fileOf, linkTo, noise, writeTree } from '../../../support/files.js';
import type { Tree } from '../../../support/nar.js';
import { createNixStore, describeWithNix, type NixStore } from '../../../support/nix.js';
import { usePool } from '../../../support/pool.js';

const TREES: [string, Tree][] = [
  ['file', fileOf('content')],
  ['large-file', fileOf(noise(1_500_000))],
  ['executable', fileOf('#!/bin/sh', true)],
  ['empty-file', fileOf('')],
  ['symlink', linkTo('/nowhere')],
  ['symlink-to-directory', linkTo('/etc')],
  ['empty-directory', directoryOf({})],
  [
    'tree',
    directoryOf({ B: fileOf('B'), a: directoryOf({ x: fileOf('x', true) }), 'a-': fileOf(''), l: linkTo('a/x') }),
  ],
  [
    'odd-names',
    {
      type: 'directory',
      entries: new Map([
        ['\xff', fileOf('x')],
        ['caf\xc3\xa9', linkTo('\xfe')],
        ['a b\n', fileOf('')],
      ]),
    },
  ],
];

/** Derivations whose outputs refer to a source, to themselves, or to both; \`$dep\` is the source's path. */
const REFERRING: [string, string][] = [
  ['source', 'echo $dep > $out'],
  ['itself', 'echo $out > $out'],
  ['itself-at-the-start-of-a-file', 'printf %s $(basename $out) > $out'],
  ['itself-many-times', 'mkdir $out; for i in 1 2 3 4 5; do echo $i $out $out/$i $dep > $out/$i; done'],
  ['itself-in-a-name', 'mkdir $out; h=$(basename $out | cut -c 1-32); echo x > $out/$h-inside; echo $dep > $out/dep'],
  ['itself-in-a-target', 'mkdir $out; echo x > $out/a; ln -s $out/a $out/b; ln -s $dep $out/c'],
  [
    'itself-in-all',
    'mkdir -p $out/bin; h=$(basename $out | cut -c 1-32); echo $out > $out/$h; ln -s $out/bin $out/l; echo $dep $out > $out/z',
  ],
];

describeWithNix('adding to a store, beside real Nix,', () => {
  const pool = usePool(2);
  let nix: NixStore;
  let known: Store;
  let dep: string;
  const own = () => openOwnStore(join(nix.root, 'own'));
  const add = (path: string, name: string): Promise<Added> => addToStore({ path, name, store: own(), known, pool });

  beforeAll(async () => {
    nix = await createNixStore();
    known = uniteStores([(await openNixStore(nix.env))!, own()]);
    mkdirSync(join(nix.root, 'trees'));
    writeTree(join(nix.root, 'trees', 'dependency'), fileOf('dependency'));
    dep = await nix.run('nix-store', ['--add', join(nix.root, 'trees', 'dependency')]);
  });
  afterAll(() => nix.remove());

  it.each(TREES)('gives the path that `nix-store --add` gives: %s', async (name, tree) => {
    const path = join(nix.root, 'trees', name);
    writeTree(path, tree);
    const { info, existed } = await add(path, name);
    expect(existed).toBe(false);
    expect(info.path).toBe(await nix.run('nix-store', ['--add', path]));
    const [theirs] = (await known.queryInfos([info.path])).values();
    expect(hashesEqual(info.narHash, theirs!.narHash)).toBe(true);
    expect({ ...info, narHash: 0 }).toEqual({ ...theirs, narHash: 0 });
  });

  it('takes a path of Nix’s store that is known for a reference, as `builtins.toFile` does', async () => {
    const path = join(nix.root, 'trees', 'mentions');
    writeTree(path, fileOf(`see ${dep}`));
    expect((await add(path, 'mentions')).info.references).toEqual([dep]);
  });

  it('does not take for a reference what lies in Nix’s store dir and is not valid', async () => {
    const invalid = `/nix/store/${'0'.repeat(32)}-invalid`;
    writeTree(nix.realPath(invalid), fileOf('x'));
    const path = join(nix.root, 'trees', 'mentions-invalid');
    writeTree(path, fileOf(`see ${invalid} and ${dep}`));
    expect((await add(path, 'mentions')).info.references).toEqual([dep]);
  });

  it.each(REFERRING)('gives the path that `nix store make-content-addressed` gives: %s', async (name, script) => {
    const expression = `derivation {
      name = "${name}"; system = builtins.currentSystem; builder = "/bin/sh"; dep = builtins.storePath "${dep}";
      PATH = "/usr/bin:/bin"; args = [ "-c" (builtins.readFile ${nix.root}/${name}.sh) ];
    }`;
    writeTree(join(nix.root, `${name}.sh`), fileOf(script));
    const [built] = (await nix.build(expression)) as [string];
    const { rewrites } = JSON.parse(await nix.run('nix', ['store', 'make-content-addressed', '--json', built]));
    const expected = rewrites[built];
    expect(nameOf(expected)).toBe(name);

    const { info } = await add(nix.realPath(built), name);
    expect(info.path).toBe(expected);
    const [theirs] = (await (await openNixStore(nix.env))!.queryInfos([expected])).values();
    expect(info.references).toEqual(theirs!.references);
    expect(info.ca).toBe(theirs!.ca);
    expect(hashesEqual(info.narHash, theirs!.narHash)).toBe(true);
    execFileSync('diff', ['-r', '--no-dereference', nix.realPath(expected), own().realPath(info)]);
  });

  it('leaves a store that is whole', async () => {
    // The dependency is Nix's, so what refers to it is not complete without it.
    const { problems, unregistered } = await verifyStore(own(), own(), { pool });
    expect(problems.filter(({ problem }) => problem !== 'incomplete')).toEqual([]);
    expect(new Set(problems.map(({ detail }) => detail))).toEqual(
      new Set([`it refers to \`${dep}\`, which is not valid`]),
    );
    expect(unregistered).toEqual([]);
  });
});
