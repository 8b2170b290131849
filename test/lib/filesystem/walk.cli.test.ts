import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { walkTree } from '#lib/filesystem/walk.js';
import { encodeNar } from '#lib/nix/nar/encode.js';
import type { NarEvent } from '#lib/nix/nar/event.js';
import * as arbitrary from '../../support/arbitraries.js';
import { expectError, expectFormatError } from '../../support/errors.js';
import { directoryOf, fileOf, gather, linkTo, noise, removeAll, useDirectory, writeTree } from '../../support/files.js';
import { latin1, naiveNar, type Tree, treeOf } from '../../support/nar.js';

const directory = useDirectory();
const at = (...names: string[]): string => join(directory(), ...names);

/** The names of a directory's entries, one character a byte. */
function namesIn(path: string): string[] {
  const entries = [...walkTree(path)].filter((event) => event.type === 'entry');
  return entries.map(({ name }) => Buffer.from(name).toString('latin1'));
}

describe('walking a tree', () => {
  it('tells of it as it is, whichever bytes its names have', async () => {
    let count = 0;
    await fc.assert(
      fc.asyncProperty(arbitrary.narTree(), async (tree) => {
        const path = at(String(count++));
        writeTree(path, tree);
        expect((await gather(encodeNar(walkTree(path)))).equals(naiveNar(tree))).toBe(true);
        removeAll(path);
      }),
      { numRuns: 60 },
    );
  });

  it('takes names in the order of their bytes', () => {
    const names = [
      'a',
      'B',
      'a.b',
      'a-b',
      'a0',
      '\xc3\xa9',
      '\xff',
      '\xef\xbf\xbd',
      '\xf0\x9f\x98\x80',
      '10',
      '9',
      '_',
    ];
    const tree: Tree = { type: 'directory', entries: new Map(names.map((name) => [name, fileOf(name)])) };
    writeTree(at('tree'), tree);
    const inOrder = [...names].sort((a, b) => Buffer.compare(latin1(a), latin1(b)));
    expect(namesIn(at('tree'))).toEqual(inOrder);
  });

  it('keeps names and targets that are not UTF-8', () => {
    const tree: Tree = { type: 'directory', entries: new Map([['caf\xe9', linkTo('\xff\xfe')]]) };
    writeTree(at('tree'), tree);
    expect(treeOf(walkTree(at('tree')))).toEqual(tree);
  });

  it('follows no symlink: to a directory, to itself, to nothing, upwards', () => {
    const tree = directoryOf({
      circle: linkTo('circle'),
      dangling: linkTo('/does/not/exist'),
      'real-directory': directoryOf({ inside: fileOf('inside') }),
      'to-directory': linkTo('real-directory'),
      'to-slash': linkTo('real-directory/'),
      up: linkTo('..'),
    });
    writeTree(at('tree'), tree);
    expect(naiveNar(treeOf(walkTree(at('tree')))).equals(naiveNar(tree))).toBe(true);
    symlinkSync('tree', at('link'));
    expect([...walkTree(at('link'))]).toEqual([{ type: 'symlink', target: Buffer.from('tree') }]);
  });

  it('takes a file for executable by its owner’s bit alone', () => {
    const modes = [0o100, 0o700, 0o755, 0o011, 0o644, 0o677, 0o4755, 0o600];
    const found = modes.map((mode) => {
      const path = at(mode.toString(8));
      writeFileSync(path, '');
      chmodSync(path, mode);
      return ([...walkTree(path)][0] as Extract<NarEvent, { type: 'regular' }>).executable;
    });
    expect(found).toEqual([true, true, true, false, false, false, true, false]);
  });

  it.each([0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 1_000_000])('reads a file of %i bytes', async (size) => {
    writeFileSync(at('file'), noise(size));
    const events = walkTree(at('file'));
    expect(events.next().value).toEqual({ type: 'regular', executable: false, size });
    const contents: Buffer[] = [];
    let last: NarEvent | undefined;
    for (const event of events) {
      if (event.type === 'contents') contents.push(Buffer.from(event.bytes));
      last = event;
    }
    expect(Buffer.concat(contents).equals(noise(size))).toBe(true);
    expect(last).toEqual({ type: 'end' });
  });

  it('may be done twice at a time', () => {
    writeFileSync(at('a'), Buffer.alloc(1000, 'a'));
    writeFileSync(at('b'), Buffer.alloc(1000, 'b'));
    const walks = [walkTree(at('a')), walkTree(at('b'))];
    for (const walk of walks) walk.next();
    const [a, b] = walks.map((walk) => walk.next().value as Extract<NarEvent, { type: 'contents' }>);
    expect([a!.bytes[0], b!.bytes[0]]).toEqual(['a'.charCodeAt(0), 'b'.charCodeAt(0)]);
  });

  it.skipIf(!existsSync('/proc/self/fd'))('closes its file when it is left in the middle', () => {
    writeFileSync(at('file'), noise(1000));
    expect(openFiles('/')).toBeGreaterThan(0);
    for (let index = 0; index < 20; index++) {
      for (const event of walkTree(at('file'))) if (event.type === 'contents') break;
    }
    expect(openFiles(at('file'))).toBe(0);
  });
});

describe('walking a tree refuses', () => {
  it('a pipe, without waiting for its other end', () => {
    mkdirSync(at('tree'));
    execFileSync('mkfifo', [at('tree', 'pipe')]);
    const error = expectFormatError('is neither file, directory nor symlink', () => [...walkTree(at('tree'))]);
    expect(error.message).toContain(at('tree', 'pipe'));
    expect(error.hint).toContain('remove it');
  });

  it('a socket', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(at('socket'), resolve));
    expectFormatError('is neither file, directory nor symlink', () => [...walkTree(at('socket'))]);
    await new Promise((resolve) => server.close(resolve));
  });

  it('a device', () => {
    expectFormatError('`/dev/null` is neither file, directory nor symlink', () => [...walkTree('/dev/null')]);
  });

  it('a file that becomes shorter while it is read', () => {
    writeFileSync(at('file'), noise(600_000));
    expectError('E_INTEGRITY', 'became shorter while it was read', () => {
      for (const event of walkTree(at('file'))) if (event.type === 'contents') truncateSync(at('file'), 300_000);
    });
  });

  it('nothing', () => {
    expect(() => [...walkTree(at('missing'))]).toThrow('ENOENT');
  });
});

it('reads of a file that grows what was there at first', async () => {
  writeFileSync(at('file'), noise(600_000));
  let read = 0;
  for (const event of walkTree(at('file'))) {
    if (event.type !== 'contents') continue;
    if (read === 0) writeFileSync(at('file'), 'more', { flag: 'a' });
    read += event.bytes.length;
  }
  expect(read).toBe(600_000);
});

/** How many of this process's open files are at or below a path. */
function openFiles(path: string): number {
  const links = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return links.filter((link) => link.startsWith(path)).length;
}
