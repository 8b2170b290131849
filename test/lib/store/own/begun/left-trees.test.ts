import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { basename, join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { removeLeftovers, resumableEnding, resumableEndingOf } from '#lib/filesystem/temporary.js';
import { hashBytes } from '#lib/nix/hash.js';
import {
  type KeptTree,
  type LeftTrees,
  openLeftTrees,
  removeLeftTrees,
  type TreeContent,
} from '#lib/store/own/begun/left-trees.js';
import { directoryOf, fileOf, noise, useDirectory, writeTree } from '../../../../support/files.js';
import { deadPid } from '../../../../support/leftovers.js';

const directory = useDirectory();
const layout = () => ({ realStoreDir: join(directory(), 'store') });
const trees = () => openLeftTrees(layout());
const contentOf = (text: string): TreeContent => ({
  path: `/nix/store/${'1'.repeat(32)}-${text}`,
  ...{ narHash: hashBytes('sha256', Buffer.from(text)), narSize: 1000 },
});
const [A, B] = [contentOf('a'), contentOf('b')];
const names = () => readdirSync(layout().realStoreDir).sort();
const at = (name: string) => join(layout().realStoreDir, name);
const DAYS = 24 * 60 * 60 * 1000;

const keep = async (from: LeftTrees, content: TreeContent): Promise<KeptTree> => (await from.keep(content))!;

/** What a run has made of a path before it was killed. */
async function leave(content: TreeContent, bytes: number): Promise<string> {
  const { temporary } = await keep(trees(), content);
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
    expect(resumableEndingOf(left)).toMatch(/^\.tree[a-p]{32}$/);
    expect(resumableEndingOf(left.slice(0, left.lastIndexOf('.')))).toBeUndefined();
    expect(resumableEndingOf(`x${ending}`)).toBeUndefined();
    await removeLeftovers(layout().realStoreDir, Date.now() + 10 * DAYS);
    expect(names()).toEqual([left]);
  });

  it('are no names of parts of files that a killed process has left, which are leftovers as any', async () => {
    const { temporary } = await keep(trees(), A);
    const base = temporary.slice(0, temporary.lastIndexOf('.')).replace(`-${process.pid}-`, `-${deadPid()}-`);
    writeFileSync(`${base}.${'abcdefghijklmnop'.repeat(2)}`, 'x');
    await removeLeftovers(layout().realStoreDir);
    expect(names()).toEqual([]);
  });
});

describe('trees that were left', () => {
  it('are taken over by one, the largest of several, of no other path, and of no process that lives', async () => {
    await leave(A, 20_000);
    const large = await leave(A, 200_000);
    const other = await leave(B, 300_000);
    const { temporary } = await keep(trees(), A);
    writeTree(temporary, directoryOf({ sub: directoryOf({ file: fileOf(noise(400_000)) }) }));
    expect(await trees().find(A)).toBe(large);
    expect(await trees().hasAny()).toBe(true);
    expect(names()).toHaveLength(4);
    const taken = await trees().take(A);
    expect(sizeIn(taken!)).toBe(200_000);
    expect(await trees().take(A)).toBeUndefined();
    expect(await trees().find(A)).toBeUndefined();
    expect(names()).toEqual([taken!, temporary, other].map((tree) => basename(tree)).sort());
  });

  it('are there for the next of this process, too, when they are let go of, and not before', async () => {
    const mine = trees();
    const kept = await keep(mine, A);
    writeTree(kept.temporary, fileOf('x'));
    expect([await mine.hasLeft(A), await mine.take(A)]).toEqual([false, undefined]);
    await kept.leave();
    expect([await mine.hasLeft(A), await mine.hasLeft(B)]).toEqual([true, false]);
    const taken = await mine.take(A);
    expect(names()).toEqual([basename(taken!)]);
    expect(await mine.hasLeft(A)).toBe(false);
    // The pull has ended before it came to this path.
    await mine.end();
    expect(await mine.hasLeft(A)).toBe(true);
    const [again, making] = [await mine.take(A), await keep(mine, A)];
    writeTree(making.temporary, fileOf('xyz'));
    expect(again).not.toBe(taken);
    // It is whole: what it was made of goes.
    await making.remove();
    expect(names()).toEqual([basename(making.temporary)]);
  });

  it('go where the disk has no room for the rest, and where it is full', async () => {
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

  it('need room for the rest only, but for a file, which is copied', async () => {
    vi.spyOn(fs, 'statfs').mockResolvedValue({ ...(await fs.statfs(directory())), bavail: 0 });
    syncBuiltinESMExports();
    onTestFinished(() => {
      vi.restoreAllMocks();
      syncBuiltinESMExports();
    });
    await leave(A, 1000);
    expect(await trees().take(A)).toBeDefined();
    const { temporary } = await keep(trees(), B);
    writeFileSync(temporary.replace(`-${process.pid}-`, `-${deadPid()}-`), noise(1000));
    expect(await trees().take(B)).toBeUndefined();
    expect(names()).toHaveLength(1);
  });

  it('stay while the path is made of them, when others are removed for a disk that is full', async () => {
    for (const content of [A, B, contentOf('c')]) await leave(content, 10);
    const mine = trees();
    const [a, , c] = [await mine.take(A), await mine.take(B), await mine.take(contentOf('c'))];
    const [makingA, makingC] = [await keep(mine, A), await keep(mine, contentOf('c'))];
    expect([makingA.begun, makingC.begun]).toEqual([a, c]);
    expect(await mine.giveUp()).toBe(true);
    expect(names()).toEqual([a!, c!].map((tree) => basename(tree)).sort());
    // B was not begun: it goes on from nothing, and says so.
    expect((await keep(mine, B)).begun).toBeUndefined();
    await makingA.remove();
    expect(names()).toEqual([basename(c!)]);
    expect(await mine.giveUp()).toBe(false);
    await makingC.leave();
    expect(await mine.giveUp()).toBe(true);
  });

  it('are those of one path, however many have the same NAR', async () => {
    const other = { ...A, path: `${A.path}-2` };
    await leave(A, 10);
    const mine = trees();
    const taken = await mine.take(A);
    expect(await mine.take(other)).toBeUndefined();
    const [making, beside] = [await keep(mine, A), await keep(mine, other)];
    writeTree(beside.temporary, fileOf('x'));
    await beside.remove();
    await (await keep(mine, other)).leave();
    await mine.remove(other);
    expect(names()).toEqual([taken!, beside.temporary].map((tree) => basename(tree)).sort());
    expect(await mine.hasLeft(A)).toBe(false);
    await making.remove();
    expect(names()).toEqual([basename(beside.temporary)]);
  });

  it('go when the path is there, whoever has made it', async () => {
    await leave(A, 10);
    const b = await leave(B, 10);
    const mine = trees();
    await mine.take(A);
    const kept = await keep(mine, A);
    writeTree(kept.temporary, fileOf('x'));
    await kept.leave();
    expect(names()).toHaveLength(3);
    await mine.remove(A);
    expect(names()).toEqual([basename(b)]);
  });

  /** A pull that has left nothing but what it took. */
  const pullOf = async (content: TreeContent, most?: number): Promise<void> => {
    const mine = openLeftTrees(layout(), most);
    expect(await mine.take(content)).toBeDefined();
    await mine.end();
  };

  it('go when they are many, the oldest first', async () => {
    const old = resumableEndingOf(basename(await leave(A, 500_000)));
    const young = resumableEndingOf(basename(await leave(B, 500_000)));
    const endings = () => names().map((name) => resumableEndingOf(name));
    await pullOf(B, 2_000_000);
    expect(endings().sort()).toEqual([old, young].sort());
    await pullOf(B, 700_000);
    expect(endings()).toEqual([young]);
  });

  it('stay where one alone is more than all may be, and with what was left of the path the largest', async () => {
    await leave(B, 10);
    const large = await leave(A, 500_000);
    const mine = openLeftTrees(layout(), 100_000);
    const taken = await mine.take(A);
    const making = await keep(mine, A);
    writeTree(making.temporary, fileOf(noise(50_000)));
    await making.leave();
    await mine.end();
    expect(names()).toEqual([basename(taken!)]);
    expect(sizeIn(taken!)).toBe(500_000);
    expect(taken).not.toBe(large);
  });

  it('are looked at once for all paths, and measured by those only that have left or taken one', async () => {
    await leave(A, 10);
    await leave(B, 10);
    const read = vi.spyOn(fs, 'readdir');
    const looked = vi.spyOn(fs, 'lstat');
    syncBuiltinESMExports();
    onTestFinished(() => {
      vi.restoreAllMocks();
      syncBuiltinESMExports();
    });
    const mine = openLeftTrees(layout(), 1);
    for (let path = 0; path < 20; path++) {
      const content = contentOf(String(path));
      expect(await mine.take(content)).toBeUndefined();
      await (await keep(mine, content)).remove();
    }
    expect([read.mock.calls.length, looked.mock.calls.length]).toEqual([1, 0]);
    await mine.end();
    expect(read.mock.calls.length).toBe(1);
    expect(names()).toHaveLength(2);
  });

  it('are measured a file at a time', async () => {
    await leave(A, 10);
    const large = await leave(B, 10);
    for (let file = 0; file < 200; file++) writeFileSync(join(large, `file-${file}`), 'x');
    let [now, most] = [0, 0];
    const { lstat } = fs;
    vi.spyOn(fs, 'lstat').mockImplementation(async (...args: Parameters<typeof lstat>) => {
      most = Math.max(most, ++now);
      return lstat(...args).finally(() => now--);
    });
    syncBuiltinESMExports();
    onTestFinished(() => {
      vi.restoreAllMocks();
      syncBuiltinESMExports();
    });
    await pullOf(A, 1_000_000);
    expect(names()).toHaveLength(2);
    expect(most).toBe(1);
  });

  it('are none where everybody may write: what is named there may be exchanged', async () => {
    await leave(A, 10);
    chmodSync(layout().realStoreDir, 0o777);
    const mine = trees();
    expect([await mine.hasAny(), await mine.find(A), await mine.take(A), await mine.keep(A)]).toEqual([
      false,
      undefined,
      undefined,
      undefined,
    ]);
    await mine.remove(A);
    expect(await mine.giveUp()).toBe(false);
    await removeLeftTrees(layout(), { all: true, there: [A] });
    expect(names()).toHaveLength(1);
  });

  it('go a day later, when the path is there, and with all', async () => {
    const remove = (options: Partial<Parameters<typeof removeLeftTrees>[1]>) =>
      removeLeftTrees(layout(), { all: false, there: [], ...options });
    await leave(A, 10);
    const b = await leave(B, 10);
    const { temporary } = await keep(trees(), A);
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
