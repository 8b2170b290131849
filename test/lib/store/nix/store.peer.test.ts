import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatHash } from '#lib/nix/hash.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { openNixStore } from '#lib/store/nix/store.js';
import { openStoreForReading, openStoreForWriting } from '#lib/store/open.js';
import type { Store } from '#lib/store/store.js';
import { expectError } from '../../../support/errors.js';
import { useDirectory } from '../../../support/files.js';
import { createNixStore, describeWithNix, type NixStore } from '../../../support/nix.js';

const INVALID = `/nix/store/${'0'.repeat(32)}-invalid`;

/** A derivation with a dependency; the output refers to it and to itself. */
const REFERRING = `
  let dep = builtins.toFile "dep" "dependency";
  in derivation {
    name = "referring"; system = builtins.currentSystem; builder = "/bin/sh";
    args = [ "-c" "echo \${dep} $out > $out" ];
  }`;

const MANY = `
  let files = builtins.genList (i: builtins.toFile "file-\${toString i}" "content \${toString i}") 330;
  in builtins.toFile "all" (toString files)`;

describeWithNix('the store of the system’s Nix', () => {
  let nix: NixStore;
  let store: Store;
  let out: string;
  let drv: string;
  beforeAll(async () => {
    nix = await createNixStore();
    store = (await openNixStore(nix.env))!;
    [out] = (await nix.build(REFERRING)) as [string];
    drv = await nix.run('nix-store', ['-q', '--deriver', out]);
  });
  afterAll(() => nix.remove());
  const query = async (...args: string[]) =>
    (await nix.run('nix-store', ['-q', ...args])).split('\n').filter(Boolean).sort();

  it('tells of paths what Nix tells of them', async () => {
    const info = (await store.queryInfos([out])).get(out)!;
    expect(`sha256:${formatHash(info.narHash, 'nix32')}`).toBe(await nix.run('nix-store', ['-q', '--hash', out]));
    expect(String(info.narSize)).toBe(await nix.run('nix-store', ['-q', '--size', out]));
    expect(info.references).toEqual(await query('--references', out));
    expect(info.references).toContain(out);
    expect(info.deriver).toBe(drv);
    expect(info).not.toHaveProperty('ca');
  });

  it('tells of derivations, not of their outputs', async () => {
    const info = (await store.queryInfos([drv])).get(drv)!;
    expect(info.references).toEqual(await query('--references', drv));
    expect(info.ca).toMatch(/^text:sha256:/);
    expect([...(await store.queryInfos([drv, out])).keys()].sort()).toEqual([drv, out].sort());
  });

  it('gives the closures of outputs and of derivations', async () => {
    for (const roots of [[out], [drv], [out, drv]]) {
      expect([...(await store.queryClosure(roots)).keys()].sort()).toEqual(await query('-R', ...roots));
    }
  });

  it('leaves out what is not valid', async () => {
    expect((await store.queryInfos([INVALID])).size).toBe(0);
    expect([...(await store.queryInfos([INVALID, out, drv])).keys()].sort()).toEqual([out, drv].sort());
    expect([...(await store.queryClosure([INVALID, out])).keys()].sort()).toEqual(await query('-R', out));
    expect((await store.queryInfos([])).size).toBe(0);
    expect((await store.queryClosure([])).size).toBe(0);
  });

  it('leaves out what lies in the store dir and is not registered', async () => {
    writeFileSync(nix.realPath(INVALID), 'x');
    expect((await store.queryInfos([INVALID])).size).toBe(0);
    expect((await store.queryClosure([INVALID])).size).toBe(0);
  });

  it('answers about hundreds of paths at once', async () => {
    const all = JSON.parse(await nix.run('nix-instantiate', ['--eval', '--read-write-mode', '-E', MANY]));
    const closure = await store.queryClosure([all]);
    expect(closure.size).toBe(331);
    expect([...closure.keys()].sort()).toEqual(await query('-R', all));
    const infos = await store.queryInfos([...closure.keys()]);
    expect(infos).toEqual(closure);
  });

  it('finds paths by their hash parts, whatever lies beside them', async () => {
    for (const suffix of ['.lock', '.check']) writeFileSync(nix.realPath(`${out}${suffix}`), '');
    const hashParts = await store.queryHashParts();
    expect(hashParts.get(hashPartOf(out))).toBe(out);
    expect(hashParts.get(hashPartOf(drv))).toBe(drv);
    expect(hashParts.has('.links')).toBe(false);
  });

  it('says where the files are', async () => {
    const info = (await store.queryInfos([out])).get(out)!;
    expect(store.realPath(info)).toBe(nix.realPath(out));
    expect(readFileSync(store.realPath(info), 'utf8')).toContain(out);
    expect(store.realStoreDirs).toEqual([join(nix.root, 'nix/store')]);
  });

  it.each([
    ['as a path', (root: string) => root],
    ['as a path with a slash', (root: string) => `${root}/`],
    ['as a setting', (root: string) => `local?root=${root}`],
    ['as a setting among others', (root: string) => `local?read-only=false&root=${root}`],
  ])('is found at a root that is given %s', async (_, remote) => {
    const other = (await openNixStore({ ...nix.env, NIX_REMOTE: remote(nix.root) }))!;
    const info = (await other.queryInfos([out])).get(out)!;
    expect(existsSync(other.realPath(info))).toBe(true);
    expect(other.realStoreDirs).toEqual([join(nix.root, 'nix/store')]);
  });

  it.each([
    [
      'nix.conf',
      async (root: string) => {
        const directory = join(nix.root, 'other-conf');
        mkdirSync(directory, { recursive: true });
        const text = readFileSync(join(nix.root, 'conf/nix.conf'), 'utf8');
        writeFileSync(join(directory, 'nix.conf'), `${text}store = ${root}\n`);
        return { NIX_CONF_DIR: directory };
      },
    ],
    [
      'a user’s nix.conf',
      async (root: string) => {
        const file = join(nix.root, 'user.conf');
        writeFileSync(file, `store = ${root}\n`);
        return { NIX_USER_CONF_FILES: file };
      },
    ],
    ['NIX_CONFIG', async (root: string) => ({ NIX_CONFIG: `store = local?root=${root}` })],
  ])('is found where %s says that it is', async (_, settings) => {
    const other = (await openNixStore({ ...nix.env, NIX_REMOTE: '/elsewhere', ...(await settings(nix.root)) }))!;
    const info = (await other.queryInfos([out])).get(out)!;
    expect([existsSync(other.realPath(info)), other.realStoreDirs]).toEqual([true, [join(nix.root, 'nix/store')]]);
  });

  it('says what Nix said when it fails', async () => {
    const error = await (await openNixStore({ ...nix.env, NIX_REMOTE: 'nonsense://' }))!
      .queryInfos([out])
      .catch((reason) => reason);
    expect(error).toMatchObject({ code: 'E_PROGRAM', message: '`nix-store --check-validity` failed' });
    expect(error.cause.message).toContain('nonsense');
    expect(error.hint).toContain('nix path-info');
  });

  describe('with a store dir of its own', () => {
    let own: NixStore;
    beforeAll(async () => {
      own = await createNixStore({ ownStoreDir: true });
    });
    afterAll(() => own.remove());

    it('has its paths there', async () => {
      const [path] = (await own.build(REFERRING)) as [string];
      const other = (await openNixStore(own.env))!;
      expect(other.storeDir).toBe(own.storeDir);
      const info = (await other.queryInfos([path])).get(path)!;
      expect(other.realPath(info)).toBe(path);
      expect((await other.queryClosure([path])).size).toBe(2);
    });

    it('is not united with carport’s own store, whose paths are others', async () => {
      const reading = await openStoreForReading(undefined, own.env);
      expect(reading.storeDir).toBe(own.storeDir);
      expect(reading.realStoreDirs).toEqual([own.storeDir]);
    });
  });

  it('is read beside carport’s own store, before it', async () => {
    const env = { ...nix.env, XDG_DATA_HOME: join(nix.root, 'data') };
    const reading = await openStoreForReading(undefined, env);
    expect(reading.realStoreDirs).toEqual([join(nix.root, 'nix/store'), join(nix.root, 'data/carport/nix/store')]);
    expect((await openStoreForReading('nix', env)).realStoreDirs).toEqual([join(nix.root, 'nix/store')]);
  });
});

describe('without Nix', () => {
  const directory = useDirectory();
  const env = () => ({ PATH: directory(), HOME: directory() });

  it('carport’s own store is read', async () => {
    expect(await openNixStore(env())).toBeUndefined();
    const store = await openStoreForReading(undefined, env());
    expect(store.realStoreDirs).toEqual([join(directory(), '.local/share/carport/nix/store')]);
  });

  it('asking for the system’s Nix says that it is not there', async () => {
    const error = await openStoreForReading('nix', env()).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'E_NOT_FOUND', message: expect.stringContaining('`nix` is not on PATH') });
  });

  it('a root that is named is used, for reading and writing', async () => {
    const root = join(directory(), 'root');
    expect((await openStoreForReading(root, env())).realStoreDirs).toEqual([`${root}/nix/store`]);
    expect(openStoreForWriting(root, env()).layout.root).toBe(root);
    const data = { ...env(), XDG_DATA_HOME: join(directory(), 'data') };
    expect(openStoreForWriting(undefined, data).layout.root).toBe(join(directory(), 'data/carport'));
    // The specification says to ignore relative paths.
    expect(openStoreForWriting(undefined, { ...env(), XDG_DATA_HOME: 'data' }).layout.root).toBe(
      join(directory(), '.local/share/carport'),
    );
  });

  it('the system’s Nix is never written to', () => {
    expectError('E_USAGE', 'this command is for carport', () => openStoreForWriting('nix', env()));
  });
});
