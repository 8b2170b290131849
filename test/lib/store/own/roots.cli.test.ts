import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { withStoreUse } from '#lib/store/own/lock/lock.js';
import { checkReplaceable, makeOutLink, prepareOutLinks } from '#lib/store/own/out-links.js';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { writePulledPin } from '#lib/store/own/pulled-pins.js';
import { listRoots, readRoots } from '#lib/store/own/roots.js';
import { asOrdinaryUser, fileOf, useDirectory } from '../../../support/files.js';
import { deadPid, nameBy } from '../../../support/leftovers.js';
import { infoOf, placeTree } from '../../../support/own-store.js';
import { usePool } from '../../../support/pool.js';

const pool = usePool(1);
const directory = useDirectory();
const at = (...names: string[]): string => join(directory(), ...names);
const open = () => openOwnStore(at('root'));

const realPath = (content: string) => {
  const store = open();
  return store.realPath(infoOf('thing', { type: 'regular', executable: false, contents: Buffer.from(content) }));
};

/** Where the links of the store's roots point to. */
const rootsOf = () => {
  const { rootsDir } = open().layout;
  return readdirSync(rootsDir).map((name) => readlinkSync(join(rootsDir, name)));
};

describe('an out-link', () => {
  it('points to the path, and the store has a root that points to it', async () => {
    await makeOutLink(open(), at('result'), realPath('one'));
    expect(readlinkSync(at('result'))).toBe(realPath('one'));
    expect(rootsOf()).toEqual([at('result')]);
  });

  it('replaces an older one, and its root', async () => {
    await makeOutLink(open(), at('result'), realPath('one'));
    await makeOutLink(open(), at('result'), realPath('two'));
    expect(readlinkSync(at('result'))).toBe(realPath('two'));
    expect(rootsOf()).toEqual([at('result')]);
    expect(readdirSync(directory()).sort()).toEqual(['result', 'root']);
  });

  it('is made where a killed run left one half made, and takes that away', async () => {
    const left = [
      at(await nameBy({ pid: deadPid() })),
      at('root/nix/var/carport/roots', await nameBy({ pid: deadPid() })),
    ];
    mkdirSync(at('root/nix/var/carport/roots'), { recursive: true });
    for (const name of left) symlinkSync(realPath('one'), name);
    await makeOutLink(open(), at('result'), realPath('one'));
    expect(readdirSync(directory()).sort()).toEqual(['result', 'root']);
    expect(rootsOf()).toEqual([at('result')]);
  });

  it('of several paths are numbered, and none is made when one is in the way', async () => {
    const paths = ['one', 'two', 'three'].map(realPath);
    const links = await prepareOutLinks(at('result'), (link, path) => makeOutLink(open(), link, path));
    await links.make(paths);
    expect(['result', 'result-2', 'result-3'].map((name) => readlinkSync(at(name)))).toEqual(paths);
    for (const name of ['result', 'result-2', 'result-3']) rmSync(at(name));
    writeFileSync(at('result-3'), 'x');
    await expect(links.check(3)).rejects.toMatchObject({ code: 'E_USAGE' });
    await expect(links.make(paths)).rejects.toMatchObject({ code: 'E_USAGE' });
    expect(readdirSync(directory()).sort()).toEqual(['result-3', 'root']);
    await links.make(paths.slice(1));
    await expect(prepareOutLinks(at('result-3'), async () => {})).rejects.toMatchObject({ code: 'E_USAGE' });
    await (await prepareOutLinks(undefined, () => expect.unreachable())).make(paths);
  });

  it('of another name has a root of its own', async () => {
    await makeOutLink(open(), at('one'), realPath('x'));
    await makeOutLink(open(), at('sub', 'two'), realPath('x'));
    expect(rootsOf().sort()).toEqual([at('one'), at('sub', 'two')]);
  });

  it('replaces one that Nix made, and one to a path that is gone', async () => {
    symlinkSync(`/nix/store/${'0'.repeat(32)}-gone`, at('result'));
    await makeOutLink(open(), at('result'), realPath('one'));
    expect(readlinkSync(at('result'))).toBe(realPath('one'));
  });

  it('takes the place of nothing else', async () => {
    writeFileSync(at('file'), 'x');
    mkdirSync(at('dir'));
    symlinkSync('file', at('link'));
    mkdirSync(at(`${'0'.repeat(32)}-directory`));
    for (const name of ['file', 'dir', 'link', `${'0'.repeat(32)}-directory`]) {
      const error = await makeOutLink(open(), at(name), realPath('one')).catch((reason) => reason);
      expect(error).toMatchObject({ code: 'E_USAGE', message: `\`${at(name)}\` is there already and is no out-link` });
      expect(error.hint).toContain('--out-link');
    }
    expect(readFileSync(at('file'), 'utf8')).toBe('x');
    expect(lstatSync(at('dir')).isDirectory()).toBe(true);
    expect(readlinkSync(at('link'))).toBe('file');
  });

  it('can be asked about before the work is done', async () => {
    writeFileSync(at('file'), 'x');
    await expect(checkReplaceable(at('free'))).resolves.toBeUndefined();
    await expect(checkReplaceable(at('missing', 'free'))).resolves.toBeUndefined();
    await expect(checkReplaceable(at('file'))).rejects.toMatchObject({ code: 'E_USAGE' });
    const error = await checkReplaceable(at('file', 'below')).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'E_USAGE', message: expect.stringContaining('cannot be made') });
    expect(error.cause).toMatchObject({ code: 'ENOTDIR' });
  });
});

describe('the roots of a store', () => {
  const place = (content: string) => placeTree(open(), pool, 'thing', fileOf(content));
  const linked = async (name: string, content: string) => {
    const info = await place(content);
    await makeOutLink(open(), at(name), open().realPath(info));
    return info.path;
  };
  const link = (name: string, path: string) => ({ kind: 'link', name: at(name), storePaths: [path] });
  /** Notes, by what they say. */
  const stale = async () => (await readRoots(open())).staleNotes.map((note) => readlinkSync(note));

  it('are out-links, pulled pins and running programs', async () => {
    const one = await linked('result', 'one');
    const { path: two } = await place('two');
    await writePulledPin(open(), {
      ...{ reference: 'toolchain@previous', storePaths: [one, two], from: '/cache' },
      updatedAt: '2026-11-01T12:00:00Z',
    });
    await withStoreUse(open(), [two], async () => {
      expect(await listRoots(open())).toEqual([
        link('result', one),
        { kind: 'pin', name: 'toolchain@previous', storePaths: [one, two] },
        { kind: 'running', name: `process ${process.pid}`, storePaths: [two] },
      ]);
    });
    expect(await listRoots(open())).toHaveLength(2);
    expect(await stale()).toEqual([]);
  });

  it('are none in a store that is not there, or new', async () => {
    expect(await listRoots(open())).toEqual([]);
    expect(readdirSync(directory())).toEqual([]);
    await place('one');
    expect(await listRoots(open())).toEqual([]);
  });

  it.each<[string, (name: string) => void]>([
    ['is gone', () => {}],
    ['was replaced by a file', (name) => writeFileSync(name, 'x')],
    ['was replaced by a directory', (name) => mkdirSync(name)],
    ['points elsewhere', (name) => symlinkSync('/usr/bin', name)],
    ['points to nothing', (name) => symlinkSync('gone', name)],
    ['points to the store as a whole', (name) => symlinkSync(open().layout.realStoreDir, name)],
    ['points to itself', (name) => symlinkSync(name, name)],
    ['points to another store', (name) => symlinkSync(`/elsewhere/nix/store/${'0'.repeat(32)}-x`, name)],
  ])('are not what an out-link stood for that %s', async (_, replace) => {
    await linked('result', 'one');
    rmSync(at('result'));
    replace(at('result'));
    expect(await listRoots(open())).toEqual([]);
    expect(await stale()).toEqual([at('result')]);
  });

  it.each<[string, (path: string) => string]>([
    ['moved, with a link in its place', () => 'old'],
    ['made by hand, by the name in the store dir', (path) => path],
    ['pointed into the path', (path) => `${at('root')}${path}/bin`],
  ])('are kept by an out-link that was %s', async (_, targetOf) => {
    const path = await linked('result', 'one');
    renameSync(at('result'), at('old'));
    symlinkSync(targetOf(path), at('result'));
    expect(await listRoots(open())).toEqual([link('result', path)]);
  });

  it('are the same by whatever name the store is called', async () => {
    symlinkSync(at('root'), at('alias'));
    const path = await linked('result', 'one');
    const alias = openOwnStore(at('alias'));
    expect(await listRoots(alias)).toEqual([link('result', path)]);
    await makeOutLink(alias, at('result'), at('alias', path));
    expect(await listRoots(open())).toEqual([link('result', path)]);
  });

  it('name paths that are not registered, too', async () => {
    await makeOutLink(open(), at('result'), realPath('one'));
    const { path } = infoOf('thing', fileOf('one'));
    expect(await listRoots(open())).toEqual([link('result', path)]);
  });

  it('cannot be told when an out-link is in a directory that cannot be read', async () => {
    mkdirSync(at('private'));
    await linked('private/result', 'one');
    const failure = await asOrdinaryUser(directory(), async () => {
      chmodSync(at('private'), 0);
      return listRoots(open())
        .catch((error) => error)
        .finally(() => chmodSync(at('private'), 0o700));
    });
    expect(failure).toMatchObject({
      code: 'E_IO',
      message: `the out-link \`${at('private/result')}\` cannot be read, and what it points to may be in use`,
      cause: { code: 'EACCES' },
    });
  });

  it('cannot be told when the way to an out-link is a circle', async () => {
    mkdirSync(at('sub'));
    await linked('sub/result', 'one');
    renameSync(at('sub'), at('old'));
    symlinkSync('sub', at('sub'));
    await expect(listRoots(open())).rejects.toMatchObject({ code: 'E_IO', cause: { code: 'ELOOP' } });
  });

  it('cannot be told when a note of one is no link', async () => {
    await linked('result', 'one');
    const note = join(open().layout.rootsDir, 'note');
    writeFileSync(note, 'x');
    await expect(listRoots(open())).rejects.toMatchObject({
      code: 'E_INTEGRITY',
      message: expect.stringContaining(note),
    });
  });
});
