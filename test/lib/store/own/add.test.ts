import { mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isContentAddressOf } from '#lib/nix/content-address.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { addToStore } from '#lib/store/own/add.js';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { verifyStore } from '#lib/store/own/verify.js';
import type { Store } from '#lib/store/store.js';
import { uniteStores } from '#lib/store/union-store.js';
import type { WorkerPool } from '#lib/workers/pool.js';
import { directoryOf, fileOf, linkTo, useDirectory, writeTree } from '../../../support/files.js';
import { infoOf, placeTree } from '../../../support/own-store.js';
import { usePool } from '../../../support/pool.js';

const pool = usePool(1);
const directory = useDirectory();
const at = (...names: string[]): string => join(directory(), ...names);
const open = () => openOwnStore(at('root'));
const SELF = '0123456789abcdfghijklmnpqrsvwxyz';
const UNKNOWN = 'zyxwvsrqpnmlkjihgfdcba9876543210';

const add = (path: string, { known, pool: other }: { known?: Store; pool?: WorkerPool } = {}) => {
  const store = open();
  return addToStore({ path, name: 'thing', store, known: known ?? store, pool: other ?? pool });
};

describe('adding a tree to a store', () => {
  it('names it by its content, and registers it', async () => {
    const tree = directoryOf({ file: fileOf('content'), program: fileOf('x', true), link: linkTo('file') });
    writeTree(at('tree'), tree);
    const { info, existed, unknownMentions } = await add(at('tree'));
    expect({ ...info, narHash: undefined }).toEqual({ ...infoOf('thing', tree), narHash: undefined });
    expect([existed, unknownMentions]).toEqual([false, []]);
    expect(await verifyStore(open(), open(), { pool })).toEqual({
      checked: 1,
      problems: [],
      unregistered: [],
      leftAlone: [],
    });
  });

  it('does nothing when it is there already', async () => {
    writeFileSync(at('file'), 'content');
    const first = await add(at('file'));
    const second = await add(at('file'));
    expect(second.info.path).toBe(first.info.path);
    expect([first.existed, second.existed]).toEqual([false, true]);
    expect(readdirSync(open().layout.realStoreDir)).toHaveLength(1);
  });

  it('finds its references to paths of the store, and of others that are known', async () => {
    const other = openOwnStore(at('other'));
    const here = await placeTree(open(), pool, 'here', fileOf('here'));
    const there = await placeTree(other, pool, 'there', fileOf('there'));
    writeFileSync(at('file'), `${here.path} ${hashPartOf(there.path)} /nix/store/${UNKNOWN}-unknown`);
    const { info, unknownMentions } = await add(at('file'), { known: uniteStores([open(), other]) });
    expect(info.references).toEqual([here.path, there.path].sort());
    expect(unknownMentions).toEqual([UNKNOWN]);
    expect(isContentAddressOf(info.ca!, info.path, info.references)).toBe(true);
  });

  it('does not refer to what is not valid', async () => {
    const store = open();
    const dependency = infoOf('dependency', fileOf('x'));
    mkdirSync(store.layout.realStoreDir, { recursive: true });
    writeTree(store.realPath(dependency), fileOf('x'));
    writeFileSync(at('file'), dependency.path);
    expect((await add(at('file'))).info.references).toEqual([]);
  });

  it('rewrites its references to itself: in contents, names and targets', async () => {
    mkdirSync(at(`${SELF}-built`));
    const own = at(`${SELF}-built`);
    writeFileSync(join(own, 'a'), `/nix/store/${SELF}-built/b`);
    symlinkSync(`/nix/store/${SELF}-built/a`, join(own, 'b'));
    writeFileSync(join(own, `c-${SELF}`), 'named');
    const { info } = await add(own);
    const hashPart = hashPartOf(info.path);
    const real = open().realPath(info);
    expect(info.references).toEqual([info.path]);
    expect(readFileSync(join(real, 'a'), 'utf8')).toBe(`/nix/store/${hashPart}-built/b`);
    expect(readlinkSync(join(real, 'b'))).toBe(`/nix/store/${hashPart}-built/a`);
    expect(readdirSync(real)).toEqual(['a', 'b', `c-${hashPart}`]);
    expect(isContentAddressOf(info.ca!, info.path, info.references)).toBe(true);
    expect((await verifyStore(open(), open(), { pool })).problems).toEqual([]);
  });

  it('refuses a tree whose names would stand in another order under its new hash part, and leaves nothing', async () => {
    const own = at(`${SELF}-built`);
    const names = [...'0123456789abcdfghijklmnpqrsvwxyz'];
    writeTree(own, directoryOf(Object.fromEntries([...names, `${SELF}-x`].map((name) => [name, fileOf('')]))));
    const error = await add(own).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'E_FORMAT', message: expect.stringContaining('is not sorted') });
    expect(readdirSync(open().layout.realStoreDir)).toEqual([]);
  });

  it('gives the same path wherever the tree that refers to itself was built', async () => {
    const paths = await Promise.all(
      [SELF, UNKNOWN].map(async (hashPart) => {
        mkdirSync(at(hashPart));
        const path = at(hashPart, `${hashPart}-built`);
        writeFileSync(path, `I am /nix/store/${hashPart}-built`);
        return (await add(path)).info.path;
      }),
    );
    expect(paths[0]).toBe(paths[1]);
  });

  it('takes a tree that is named as a store path and does not refer to itself as it is', async () => {
    const path = at(`${SELF}-built`);
    writeFileSync(path, 'content');
    expect((await add(path)).info.path).toBe(infoOf('thing', fileOf('content')).path);
  });

  it('refuses files that change while they are added, and leaves nothing', async () => {
    writeFileSync(at('file'), 'before');
    const changing = {
      ...pool,
      run: (job: Parameters<WorkerPool['run']>[0]) => {
        if (job.type === 'copy') writeFileSync(at('file'), 'after');
        return pool.run(job);
      },
    } as WorkerPool;
    const error = await add(at('file'), { pool: changing }).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'E_INTEGRITY', message: 'the files changed while they were added' });
    expect(readdirSync(open().layout.realStoreDir)).toEqual([]);
  });

  it.each(['', 'a b', '.', '..', 'a/b', 'n'.repeat(212)])('refuses the name %j', async (name) => {
    writeFileSync(at('file'), 'x');
    const store = open();
    const error = await addToStore({ path: at('file'), name, store, known: store, pool }).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'E_USAGE', message: `\`${name}\` cannot be the name of a store path` });
  });

  it('says so when there is nothing to add', async () => {
    await expect(add(at('missing'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
