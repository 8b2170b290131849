import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createUnpacker, type UnpackModes } from '#lib/filesystem/unpack.js';
import { walkTree } from '#lib/filesystem/walk.js';
import { createNarDecoder } from '#lib/nix/nar/decode.js';
import { encodeNar } from '#lib/nix/nar/encode.js';
import * as arbitrary from '../../support/arbitraries.js';
import { expectError } from '../../support/errors.js';
import { directoryOf, fileOf, gather, linkTo, noise, removeAll, useDirectory } from '../../support/files.js';
import { eventsOf, naiveNar, type Tree } from '../../support/nar.js';

const directory = useDirectory();
const at = (...names: string[]): string => join(directory(), ...names);

function unpack(destination: string, tree: Tree, modes: UnpackModes = 'store'): void {
  const apply = createUnpacker(destination, modes);
  try {
    for (const event of eventsOf(tree, 10)) apply(event);
  } finally {
    apply.close();
  }
}

const TREE = directoryOf({
  file: fileOf('contents'),
  link: linkTo('/nowhere'),
  program: fileOf('#!', true),
  sub: directoryOf({ deeper: fileOf('') }),
});

const NAMES = ['.', 'file', 'link', 'program', 'sub', 'sub/deeper'];

const statsOf = (path: string) => NAMES.map((name) => lstatSync(join(path, name)));
const modesOf = (path: string) =>
  statsOf(path).map((stats) => (stats.isSymbolicLink() ? 'link' : (stats.mode & 0o7777).toString(8)));

describe('unpacking a tree', () => {
  it('gives back its NAR, after it was packed from disk', async () => {
    let count = 0;
    await fc.assert(
      fc.asyncProperty(arbitrary.narTree(), fc.constantFrom<UnpackModes>('store', 'user'), async (tree, modes) => {
        const path = at(String(count++));
        const decoder = createNarDecoder();
        const apply = createUnpacker(path, modes);
        for (const event of decoder.push(naiveNar(tree))) apply(event);
        decoder.end();
        expect((await gather(encodeNar(walkTree(path)))).equals(naiveNar(tree))).toBe(true);
        removeAll(path);
      }),
      { numRuns: 60 },
    );
  });

  it('for a store makes files read-only and of the time 1', () => {
    unpack(at('tree'), TREE);
    expect(modesOf(at('tree'))).toEqual(['555', '444', 'link', '555', '555', '444']);
    expect(statsOf(at('tree')).map(({ mtimeMs }) => mtimeMs)).toEqual(NAMES.map(() => 1000));
  });

  it('for a store is the same under any umask', () => {
    const before = process.umask(0o077);
    unpack(at('tree'), TREE);
    process.umask(before);
    expect(modesOf(at('tree'))).toEqual(['555', '444', 'link', '555', '555', '444']);
  });

  it('for a user makes files as the umask says, with the time of now', () => {
    const before = process.umask(0o027);
    const start = Date.now() - 2000;
    unpack(at('tree'), TREE, 'user');
    process.umask(before);
    expect(modesOf(at('tree'))).toEqual(['750', '640', 'link', '750', '750', '640']);
    for (const { mtimeMs } of statsOf(at('tree'))) expect(mtimeMs).toBeGreaterThan(start);
  });

  it.each([
    ['a file', fileOf('new', true)],
    ['a symlink', linkTo('new')],
    ['a directory', directoryOf({})],
  ])('puts %s at the destination itself', (_, tree) => {
    unpack(at('root'), tree);
    expect([...encodeOf(at('root'))]).toEqual([...naiveNar(tree)]);
    const stats = lstatSync(at('root'));
    expect(stats.mtimeMs).toBe(1000);
    if (!stats.isSymbolicLink())
      expect(stats.mode & 0o7777).toBe(tree.type === 'directory' || executable(tree) ? 0o555 : 0o444);
  });
});

describe('unpacking never', () => {
  const targets: [string, Tree][] = [
    ['a file', fileOf('new')],
    ['a symlink', linkTo('new')],
    ['a directory', directoryOf({ new: fileOf('new') })],
  ];

  it.each(targets)('overwrites what is at the destination with %s', (_, tree) => {
    writeFileSync(at('file'), 'old');
    mkdirSync(at('directory'));
    symlinkSync('file', at('to-file'));
    symlinkSync('directory', at('to-directory'));
    symlinkSync('escaped', at('dangling'));
    for (const name of ['file', 'directory', 'to-file', 'to-directory', 'dangling']) {
      const error = expectError('E_FORMAT', 'is there already', () => unpack(at(name), tree));
      expect(error.message).toContain(at(name));
      expect(error.hint).toContain('ignores case');
    }
    expect(readFileSync(at('file'), 'utf8')).toBe('old');
    expect(readdirSync(at('directory'))).toEqual([]);
    expect(existsSync(at('escaped'))).toBe(false);
  });

  it.each(targets)('follows a symlink that somebody put below the destination, for %s', (_, tree) => {
    mkdirSync(at('outside'));
    const apply = createUnpacker(at('tree'), 'user');
    apply({ type: 'directory' });
    symlinkSync('../outside', at('tree', 'a'));
    symlinkSync('../outside/b', at('tree', 'b'));
    for (const name of ['a', 'b']) {
      expectError('E_FORMAT', 'is there already', () => {
        apply({ type: 'entry', name: Buffer.from(name) });
        for (const event of eventsOf(tree)) apply(event);
      });
    }
    expect(readdirSync(at('outside'))).toEqual([]);
  });

  it('changes the mode or time of what a symlink points to', () => {
    writeFileSync(at('outside'), 'x');
    chmodSync(at('outside'), 0o640);
    const before = lstatSync(at('outside'));
    unpack(at('tree'), directoryOf({ link: linkTo('../outside') }));
    const after = lstatSync(at('outside'));
    expect([after.mode, after.mtimeMs]).toEqual([before.mode, before.mtimeMs]);
    expect(lstatSync(at('tree', 'link')).mtimeMs).toBe(1000);
  });

  it('makes the directories above the destination', () => {
    expect(() => unpack(at('missing', 'tree'), fileOf('x'))).toThrow('ENOENT');
    expect(existsSync(at('missing'))).toBe(false);
  });
});

describe('unpacking tells', () => {
  it('of a path that is too long for the system', () => {
    let tree = directoryOf({ end: fileOf('') });
    for (let level = 0; level < 20; level++) tree = directoryOf({ ['d'.repeat(250)]: tree });
    const error = expectError('E_FORMAT', 'longer than this system allows', () => unpack(at('tree'), tree, 'user'));
    expect(error.cause).toMatchObject({ code: 'ENAMETOOLONG' });
  });

  it.skipIf(!canMount())('of a disk that is full, and leaves no file open there', () => {
    mkdirSync(at('small'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', at('small')]);
    try {
      const tree = directoryOf({ big: fileOf(noise(2_000_000)) });
      expect(() => unpack(at('small', 'tree'), tree)).toThrow('ENOSPC');
    } finally {
      execFileSync('umount', [at('small')]);
    }
  });
});

function encodeOf(path: string): Buffer {
  return Buffer.concat([...encodeNar(walkTree(path))].map((piece) => Buffer.from(piece)));
}

function executable(tree: Tree): boolean {
  return tree.type === 'regular' && tree.executable;
}

function canMount(): boolean {
  try {
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' });
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}
