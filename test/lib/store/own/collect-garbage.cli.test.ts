import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createTemporaryNames } from '#lib/filesystem/temporary.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { baseNameOf } from '#lib/nix/store-path.js';
import { addToStore } from '#lib/store/own/add.js';
import { collectGarbage, findGarbage } from '#lib/store/own/collect-garbage.js';
import { withStoreUse, withStoreWrite } from '#lib/store/own/lock/lock.js';
import { makeOutLink } from '#lib/store/own/out-links.js';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { writePulledPin } from '#lib/store/own/pulled-pins.js';
import { unregister } from '#lib/store/own/unregister.js';
import { unregisterDamaged, verifyStore } from '#lib/store/own/verify.js';
import { asOrdinaryUser, directoryOf, fileOf, linkTo, useDirectory, writeTree } from '../../../support/files.js';
import type { Tree } from '../../../support/nar.js';
import { infoOf, metadataOf, placeTree, writeClaim, writerOf } from '../../../support/own-store.js';
import { usePool } from '../../../support/pool.js';

const pool = usePool(1);
const directory = useDirectory();
const at = (...names: string[]): string => join(directory(), ...names);
const open = () => openOwnStore(at('root'));
const place = (name: string, references: readonly PathInfo[] = [], tree: Tree = fileOf(name)) =>
  placeTree(
    open(),
    pool,
    name,
    tree,
    references.map(({ path }) => path),
  );
const link = (name: string, info: PathInfo) => makeOutLink(open(), at(name), open().realPath(info));
const pathsOf = (infos: readonly PathInfo[]) => infos.map(({ path }) => path).sort();

const pinOf = (info: PathInfo) => ({
  ...{ reference: 'toolchain', storePaths: [info.path], from: '/cache', updatedAt: '2026-11-01T12:00:00Z' },
});

/** The store is whole, and there is nothing but these paths. */
async function expectStore(infos: readonly PathInfo[]): Promise<void> {
  const store = open();
  expect([...(await store.queryAll()).keys()].sort()).toEqual(pathsOf(infos));
  expect(await verifyStore(store, store, { pool })).toEqual({
    checked: infos.length,
    problems: [],
    unregistered: [],
    leftAlone: [],
  });
  expect(readdirSync(store.layout.realStoreDir).sort()).toEqual(pathsOf(infos).map(baseNameOf));
  expect(readdirSync(store.layout.infoDir)).toHaveLength(infos.length);
  expect(readdirSync(store.layout.activeDir)).toEqual([]);
}

/** The name of something that a process which is gone has left in a directory. */
async function leftover(where: string): Promise<string> {
  const pid = Number(execFileSync('sh', ['-c', 'echo $$'], { encoding: 'utf8' }));
  return (await createTemporaryNames(where))().replace(`-${process.pid}-`, `-${pid}-`);
}

describe('a garbage collection', () => {
  it('removes what no out-link, pin or running program reaches, and nothing else', async () => {
    const base = await place('base');
    const middle = await place('middle', [base]);
    const top = await place('top', [middle]);
    const linked = await place('linked', [base]);
    const pinned = await place('pinned');
    const runs = await place('runs');
    const tree = directoryOf({ file: fileOf('x'), link: linkTo('/etc'), sub: directoryOf({ file: fileOf('y') }) });
    const garbage = [
      await place('tree', [base], tree),
      await place('alone'),
      await place('symlink', [], linkTo('/etc')),
    ];
    await link('result', linked);
    await writePulledPin(open(), {
      ...{ reference: 'toolchain', storePaths: [top.path, pinned.path] },
      ...{ from: '/cache', updatedAt: '2026-11-01T12:00:00Z' },
    });
    const found = await findGarbage(open());
    expect(found).toEqual({
      storePaths: pathsOf([...garbage, runs]),
      narSize: [...garbage, runs].reduce((sum, { narSize }) => sum + narSize, 0),
      kept: 5,
      unregistered: [],
      leftAlone: [],
      droppedRoots: [],
      incompleteRoots: [],
      keptForAll: [],
      sharedWithNix: false,
      beingWritten: false,
    });
    expect((await open().queryAll()).size).toBe(9);
    await withStoreUse(open(), [runs.path], async () => {
      expect((await collectGarbage(open())).storePaths).toEqual(pathsOf(garbage));
    });
    await expectStore([base, middle, top, linked, pinned, runs]);
    expect((await collectGarbage(open())).storePaths).toEqual([runs.path]);
    expect(existsSync('/etc/passwd')).toBe(true);
  });

  it('removes a path that refers to itself, and one whose files are gone', async () => {
    const lost = await place('lost');
    rmSync(open().realPath(lost));
    const self = `${'0'.repeat(32)}-self`;
    mkdirSync(at('trees'));
    writeTree(at('trees', self), fileOf(`/nix/store/${self}`));
    const { info } = await addToStore({ path: at('trees', self), name: 'self', store: open(), known: open(), pool });
    expect(info.references).toEqual([info.path]);
    expect((await collectGarbage(open())).storePaths).toEqual(pathsOf([lost, info]));
    await expectStore([]);
  });

  it('removes what killed runs left, and keeps what does not look like it', async () => {
    const kept = await place('kept');
    await link('result', kept);
    const { realStoreDir, infoDir, rootsDir, activeDir, pinsDir } = open().layout;
    const [stray, foreign] = [infoOf('stray', fileOf('x')), infoOf('foreign', fileOf('x'))];
    await writeClaim(open(), stray);
    writeTree(open().realPath(foreign), fileOf('x'));
    writeTree(open().realPath(stray), directoryOf({ sub: directoryOf({ file: fileOf('x') }) }));
    chmodSync(join(open().realPath(stray), 'sub'), 0o555);
    mkdirSync(pinsDir);
    for (const where of [realStoreDir, infoDir, rootsDir, pinsDir]) writeFileSync(await leftover(where), 'x');
    mkdirSync(activeDir, { recursive: true });
    writeFileSync(`${await leftover(activeDir)}.write`, '');
    writeFileSync(`${await leftover(activeDir)}.use`, `${stray.path}\n`);
    const own = (await createTemporaryNames(realStoreDir))();
    for (const name of [own, join(realStoreDir, '.links'), join(realStoreDir, 'lost+found')]) writeFileSync(name, 'x');
    await link('gone', kept);
    rmSync(at('gone'));
    writeFileSync(join(realStoreDir, 'foo'), '');
    const { unregistered, leftAlone } = await collectGarbage(open());
    expect(unregistered).toEqual([baseNameOf(stray.path)]);
    expect(leftAlone).toEqual([baseNameOf(foreign.path), 'foo'].sort());
    expect((await verifyStore(open(), open(), { pool })).leftAlone).toEqual(leftAlone);
    for (const name of leftAlone) rmSync(join(realStoreDir, name));
    expect(readdirSync(realStoreDir).sort()).toEqual(
      [basename(own), '.links', 'lost+found', baseNameOf(kept.path)].sort(),
    );
    expect(readdirSync(infoDir)).toHaveLength(1);
    expect(readdirSync(rootsDir)).toHaveLength(1);
    expect([...readdirSync(activeDir), ...readdirSync(pinsDir)]).toEqual([]);
  });

  it('tells of roots whose paths are not registered', async () => {
    const there = await place('there');
    const missing = infoOf('missing', fileOf('x'));
    await link('result', missing);
    const pin = { reference: 'toolchain', storePaths: [there.path, missing.path], from: '/cache' };
    await writePulledPin(open(), { ...pin, updatedAt: '2026-11-01T12:00:00Z' });
    expect((await collectGarbage(open())).incompleteRoots).toMatchObject([
      { root: { kind: 'link', name: at('result') }, missing: [missing.path] },
      { root: { kind: 'pin', name: 'toolchain' }, missing: [missing.path] },
    ]);
    await expectStore([there]);
  });

  it.each(['an out-link', 'a pin', 'a running program'])(
    'after a repair keeps the files that %s needs, and what they refer to',
    async (kind) => {
      const data = await place('data');
      const broken = await place('broken');
      const middle = await place('middle', [broken, data]);
      const top = await place('top', [middle]);
      const garbage = await place('garbage', [broken]);
      const work = async () => {
        chmodSync(open().realPath(broken), 0o644);
        writeFileSync(open().realPath(broken), 'damaged');
        const { problems } = await verifyStore(open(), open(), { pool });
        const gaveUp = pathsOf([broken, middle, top, garbage]);
        expect(await unregisterDamaged(open(), problems)).toEqual(gaveUp);
        // As often as one likes.
        for (const removed of [[garbage], []]) {
          const { unregistered, incompleteRoots, storePaths } = await collectGarbage(open());
          expect([storePaths, unregistered]).toEqual([[], pathsOf(removed).map(baseNameOf)]);
          expect(incompleteRoots).toMatchObject([{ missing: [top.path] }]);
        }
        const names = pathsOf([data, broken, middle, top]).map(baseNameOf);
        expect(readdirSync(open().layout.realStoreDir).sort()).toEqual(names);
      };
      if (kind === 'an out-link') await link('result', top);
      if (kind === 'a pin') await writePulledPin(open(), pinOf(top));
      if (kind === 'a running program') await withStoreUse(open(), [top.path], work);
      else await work();
      await place('broken');
      await place('middle', [broken, data]);
      await place('top', [middle]);
      await link('result', top);
      await collectGarbage(open());
      await expectStore([data, broken, middle, top]);
      expect(readdirSync(open().layout.claimsDir)).toEqual([]);
    },
  );

  it('removes nothing when files are in use of which it is not known what they need', async () => {
    const base = await place('base');
    const top = await place('top', [base]);
    await link('result', top);
    await place('garbage');
    rmSync(metadataOf(open(), top));
    const before = readdirSync(open().layout.realStoreDir);
    for (const collect of [findGarbage, collectGarbage]) {
      const error = await collect(open()).catch((reason) => reason);
      expect(error).toMatchObject({ code: 'E_INTEGRITY', message: expect.stringContaining(top.path) });
      expect(error.hint).toContain('pull or add it again');
    }
    expect(readdirSync(open().layout.realStoreDir)).toEqual(before);
    await place('top', [base]);
    await collectGarbage(open());
    await expectStore([base, top]);
  });

  it('leaves files that somebody else has put there, registered or not', async () => {
    const [registered, other] = [infoOf('registered', fileOf('x')), infoOf('other', fileOf('y'))];
    mkdirSync(open().layout.realStoreDir, { recursive: true });
    writeTree(open().realPath(registered), fileOf('x'));
    writeTree(open().realPath(other), fileOf('y'));
    await (await writerOf(open(), pool)).register(registered);
    const first = await collectGarbage(open());
    expect([first.storePaths, first.leftAlone]).toEqual([[registered.path], [baseNameOf(other.path)]]);
    const second = await collectGarbage(open());
    expect([second.storePaths, second.leftAlone]).toEqual([[], pathsOf([registered, other]).map(baseNameOf)]);
    expect(readFileSync(open().realPath(registered), 'utf8')).toBe('x');
    expect(readFileSync(open().realPath(other), 'utf8')).toBe('y');
  });

  it('that is killed after it took registrations away is gone on with by the next', async () => {
    const infos = [await place('one'), await place('two')];
    await unregister(open(), await open().queryAll());
    expect(readdirSync(open().layout.infoDir)).toEqual([]);
    expect((await collectGarbage(open())).unregistered).toEqual(pathsOf(infos).map(baseNameOf));
    await expectStore([]);
    expect(readdirSync(open().layout.claimsDir)).toEqual([]);
  });

  it('removes nothing when it cannot be told what is in use', async () => {
    const infos = [await place('one'), await place('two')];
    await link('result', infos[0]!);
    writeFileSync(join(open().layout.rootsDir, 'note'), 'x');
    await expect(collectGarbage(open())).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    await expectStore(infos);
  });

  it('removes nothing when metadata are damaged', async () => {
    const infos = [await place('one'), await place('two')];
    const { infoDir } = open().layout;
    const file = join(infoDir, readdirSync(infoDir)[0]!);
    const before = readFileSync(file);
    writeFileSync(file, 'garbage');
    await expect(collectGarbage(open())).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    writeFileSync(file, before);
    await expectStore(infos);
  });

  it('touches nothing where carport has never written', async () => {
    const stray = join('nix/store', baseNameOf(infoOf('stray', fileOf('x')).path));
    mkdirSync(at('root/nix/store'), { recursive: true });
    writeFileSync(at('root', stray), 'x');
    expect(await collectGarbage(open())).toMatchObject({ storePaths: [], unregistered: [] });
    expect(readdirSync(at('root/nix'))).toEqual(['store']);
    expect(readFileSync(at('root', stray), 'utf8')).toBe('x');
    expect(await collectGarbage(openOwnStore(at('nowhere')))).toMatchObject({ storePaths: [], kept: 0 });
    expect(existsSync(at('nowhere'))).toBe(false);
  });

  it('forgets paths, and leaves all files alone, where Nix has its state', async () => {
    const own = await place('own');
    const kept = await place('kept');
    await link('result', kept);
    const nix = infoOf('of-nix', fileOf('x'));
    writeTree(open().realPath(nix), fileOf('x'));
    mkdirSync(open().layout.nixStateDir, { recursive: true });
    expect((await verifyStore(open(), open(), { pool })).unregistered).toEqual([]);
    expect(await collectGarbage(open())).toMatchObject({
      ...{ storePaths: [own.path], unregistered: [], sharedWithNix: true },
    });
    expect([...(await open().queryAll()).keys()]).toEqual([kept.path]);
    expect(readdirSync(open().layout.realStoreDir).sort()).toEqual(pathsOf([own, kept, nix]).map(baseNameOf));
  });

  it('follows a store dir that is a link, and no link in it', async () => {
    mkdirSync(at('root/nix'), { recursive: true });
    mkdirSync(at('disk/store'), { recursive: true });
    writeTree(at('outside'), directoryOf({ file: fileOf('x') }));
    symlinkSync(at('disk/store'), at('root/nix/store'));
    const kept = await place('kept');
    await link('result', kept);
    await place('link', [], linkTo(at('outside')));
    await place('links', [], directoryOf({ out: linkTo(at('outside')), up: linkTo('../..') }));
    const stray = infoOf('stray', fileOf('y'));
    await writeClaim(open(), stray);
    symlinkSync(at('outside'), open().realPath(stray));
    await collectGarbage(open());
    expect(readdirSync(at('disk/store'))).toEqual([baseNameOf(kept.path)]);
    expect(readdirSync(at('outside'))).toEqual(['file']);
  });

  it('works for an ordinary user, whose trees are read-only', async () => {
    mkdirSync(at('tree/sub'), { recursive: true });
    writeFileSync(at('tree/sub/file'), 'x');
    await asOrdinaryUser(directory(), async () => {
      const add = () => addToStore({ path: at('tree'), name: 'tree', store: open(), known: open(), pool });
      const { info } = await add();
      expect((await collectGarbage(open())).storePaths).toEqual([info.path]);
      expect(readdirSync(open().layout.realStoreDir)).toEqual([]);
    });
  });

  it('beside a writer waits, and keeps what that has linked', async () => {
    let collected = false;
    let collecting: Promise<unknown> = Promise.resolve();
    let info: PathInfo | undefined;
    await withStoreWrite(open(), async () => {
      info = await place('late');
      collecting = collectGarbage(open()).then(() => {
        collected = true;
      });
      expect((await findGarbage(open())).beingWritten).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(collected).toBe(false);
      await link('result', info);
    });
    await collecting;
    await expectStore([info!]);
  });

  it('that is stopped anywhere leaves what is registered with its closure', async () => {
    const chain: PathInfo[] = [];
    for (let index = 0; index < 6; index++) chain.push(await place(`part-${index}`, chain.slice(-2)));
    // A directory cannot be removed where metadata are that say nothing of files.
    const graph = new Map(chain.map((info) => [info.path, { ...info, found: true as const }]));
    const files = chain.map((info) => metadataOf(open(), info));
    const contents = files.map((file) => readFileSync(file));
    for (const [stop, file] of files.entries()) {
      files.forEach((each, index) => {
        writeFileSync(each, contents[index]!);
      });
      rmSync(file);
      mkdirSync(file);
      await expect(unregister(open(), graph)).rejects.toThrow();
      // Each refers to the one before it.
      expect(files.map((each) => existsSync(each))).toEqual(files.map((_, index) => index <= stop));
      rmSync(file, { recursive: true });
    }
  });
});
