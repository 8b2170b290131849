import { mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { removeLeftovers, resumableEnding, resumableEndingOf } from '#lib/filesystem/temporary.js';
import { hashBytes } from '#lib/nix/hash.js';
import { openLeftTrees, removeLeftTrees } from '#lib/store/own/left-trees.js';
import { directoryOf, fileOf, noise, useDirectory, writeTree } from '../../../support/files.js';
import { deadPid } from '../../../support/leftovers.js';

const directory = useDirectory();
const layout = () => ({ realStoreDir: join(directory(), 'store') });
const trees = () => openLeftTrees(layout());
const contentOf = (text: string) => ({ narHash: hashBytes('sha256', Buffer.from(text)), narSize: 1000 });
const [A, B] = [contentOf('a'), contentOf('b')];
const names = () => readdirSync(layout().realStoreDir).sort();
const at = (name: string) => join(layout().realStoreDir, name);
const DAYS = 24 * 60 * 60 * 1000;

/** What a run has made of a path before it was killed. */
async function leave(content: typeof A, bytes: number): Promise<string> {
  const { temporary } = await trees().keep(content);
  const gone = temporary.replace(`-${process.pid}-`, `-${deadPid()}-`);
  writeTree(gone, directoryOf({ sub: directoryOf({ file: fileOf(noise(bytes, temporary)) }) }));
  return gone;
}
const sizeIn = (tree: string) => statSync(join(tree, 'sub/file')).size;

beforeEach(() => mkdirSync(layout().realStoreDir));

describe('names of trees that are kept', () => {
  it('tell what they are to become, and no leftover is removed of them', async () => {
    const ending = resumableEnding('a');
    expect(ending).not.toBe(resumableEnding('b'));
    const left = basename(await leave(A, 10));
    expect(resumableEndingOf(left)).toMatch(/^\.[a-p]{32}$/);
    expect(resumableEndingOf(left.slice(0, left.lastIndexOf('.')))).toBeUndefined();
    expect(resumableEndingOf(`x${ending}`)).toBeUndefined();
    await removeLeftovers(layout().realStoreDir, Date.now() + 10 * DAYS);
    expect(names()).toEqual([left]);
  });
});

describe('trees that were left', () => {
  it('are taken over by one, the largest of several, of no other path, and of no process that lives', async () => {
    await leave(A, 20_000);
    const large = await leave(A, 200_000);
    const other = await leave(B, 300_000);
    const { temporary } = await trees().keep(A);
    writeTree(temporary, directoryOf({ sub: directoryOf({ file: fileOf(noise(400_000)) }) }));
    expect(await trees().find(A)).toBe(large);
    expect(names()).toHaveLength(4);
    const taken = await trees().take(A);
    expect(sizeIn(taken!)).toBe(200_000);
    expect(await trees().take(A)).toBeUndefined();
    expect(await trees().find(A)).toBeUndefined();
    expect(names()).toEqual([taken!, temporary, other].map((tree) => basename(tree)).sort());
  });

  it('are there for the next of this process, too, when they are let go of, and not before', async () => {
    const mine = trees();
    const kept = await mine.keep(A);
    writeTree(kept.temporary, fileOf('x'));
    expect([mine.hasLeft(A), await mine.take(A)]).toEqual([false, undefined]);
    await kept.leave();
    expect([mine.hasLeft(A), mine.hasLeft(B)]).toEqual([true, false]);
    const taken = await mine.take(A);
    expect(names()).toEqual([basename(taken!)]);
    expect(mine.hasLeft(A)).toBe(false);
    // The pull has ended before it came to this path.
    await mine.end();
    expect(mine.hasLeft(A)).toBe(true);
    const [again, making] = [await mine.take(A), await mine.keep(A)];
    writeTree(making.temporary, fileOf('xyz'));
    expect(again).not.toBe(taken);
    // It is whole: what it was made of goes.
    await making.remove();
    expect(names()).toEqual([basename(making.temporary)]);
  });

  it('go where the disk has no room for another beside them, and where it is full', async () => {
    await leave(A, 10);
    await leave(B, 10);
    expect(await trees().take({ ...A, narSize: 2 ** 60 })).toBeUndefined();
    expect(names()).toHaveLength(1);
    const mine = trees();
    const taken = await mine.take(B);
    await leave(A, 10);
    expect(names()).toContain(basename(taken!));
    expect(await mine.giveUp()).toBe(true);
    expect(names()).toEqual([]);
    expect(await mine.giveUp()).toBe(false);
  });

  it('go when they are many, the oldest first', async () => {
    const old = await leave(A, 500_000);
    const young = await leave(B, 500_000);
    renameSync(young, `${young}.x`);
    renameSync(`${young}.x`, young);
    await openLeftTrees(layout(), 2_000_000).end();
    expect(names()).toHaveLength(2);
    await openLeftTrees(layout(), 700_000).end();
    expect([names().includes(basename(old)), names().includes(basename(young))]).toEqual([false, true]);
  });

  it('go a day later, when the path is there, and with all', async () => {
    const remove = (options: Partial<Parameters<typeof removeLeftTrees>[1]>) =>
      removeLeftTrees(layout(), { all: false, there: [], ...options });
    await leave(A, 10);
    const b = await leave(B, 10);
    const { temporary } = await trees().keep(A);
    writeFileSync(temporary, 'x');
    await remove({});
    expect(names()).toHaveLength(3);
    await remove({ there: [A] });
    expect(names()).toEqual([temporary, b].map((tree) => basename(tree)).sort());
    await remove({ now: Date.now() + 2 * DAYS });
    expect(names()).toEqual([basename(temporary)]);
    await leave(B, 10);
    await remove({ all: true });
    expect(names()).toEqual([basename(temporary)]);
  });

  it('of which nothing can be had, or where nothing can be written, are none', async () => {
    const nowhere = openLeftTrees({ realStoreDir: join(directory(), 'none') });
    expect([await nowhere.find(A), await nowhere.take(A), await nowhere.giveUp()]).toEqual([
      undefined,
      undefined,
      false,
    ]);
    await nowhere.end();
    writeFileSync(at('.carport-x'), '');
    expect(await trees().take(A)).toBeUndefined();
  });
});
