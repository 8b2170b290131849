import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { walkTree } from '#lib/filesystem/walk.js';
import { readTree } from '#lib/filesystem/whole-tree.js';
import { encodeNar } from '#lib/nix/nar/encode.js';
import { useDirectory } from '../../support/files.js';

const directory = useDirectory();
const narOf = (path: string): Buffer => {
  const pieces: Buffer[] = [];
  for (const piece of encodeNar(walkTree(path))) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
};
const into = Buffer.alloc(64 * 1024, 1);
const read = (path: string) => {
  const length = readTree(path, into);
  return length === undefined ? undefined : into.subarray(0, length);
};

it('is the NAR that is made step by step, of every kind of node, name and length', async () => {
  const tree = join(directory(), 'tree');
  await mkdir(join(tree, 'b/empty'), { recursive: true });
  for (let size = 0; size < 20; size++) await writeFile(join(tree, `f${'x'.repeat(size)}`), Buffer.alloc(size, 7));
  await writeFile(join(tree, 'b/run'), 'x');
  await chmod(join(tree, 'b/run'), 0o555);
  await symlink('nowhere', join(tree, 'a-link'));
  await writeFile(Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff, 0x41])]), 'of bytes');
  await writeFile(join(tree, 'é'), 'of two');
  for (const path of [
    tree,
    join(tree, 'fx'),
    join(tree, 'f'),
    join(tree, 'b/run'),
    join(tree, 'a-link'),
    `${tree}/b`,
  ]) {
    expect(read(path)).toEqual(narOf(path));
  }
});

it('is none of a tree that has no room, is not there, or that no NAR can hold', async () => {
  const tree = join(directory(), 'large');
  await mkdir(tree);
  await writeFile(join(tree, 'file'), '');
  const most = into.length - narOf(tree).length;
  for (const [size, fits] of [
    [most, true],
    [most + 1, false],
    [into.length, false],
    [into.length + 1, false],
  ] as const) {
    await writeFile(join(tree, 'file'), Buffer.alloc(size));
    expect(read(tree)?.equals(narOf(tree)) ?? false).toBe(fits);
  }
  expect(read(join(directory(), 'nothing'))).toBeUndefined();
});
