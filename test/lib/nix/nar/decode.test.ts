import { describe, expect, it } from 'vitest';
import { createNarDecoder, decodeNar } from '#lib/nix/nar/decode.js';
import type { NarEvent } from '#lib/nix/nar/event.js';
import { expectFormatError } from '../../../support/errors.js';
import {
  directoryTokens,
  entryTokens,
  FILE_TOKENS,
  latin1,
  naiveNar,
  narOf,
  narString,
  nestedTokens,
  type Tree,
} from '../../../support/nar.js';

/** The types of the events of a whole NAR; contents are looked at, so that they are read. */
function decodeAll(...pieces: readonly Uint8Array[]): string[] {
  const decoder = createNarDecoder();
  const types: string[] = [];
  for (const piece of pieces) for (const event of decoder.push(piece)) types.push(event.type);
  decoder.end();
  return types;
}

/** The length field of a string, alone. */
function length(size: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(size);
  return bytes;
}

const WHOLE = naiveNar({
  type: 'directory',
  entries: new Map<string, Tree>([
    ['file', { type: 'regular', executable: true, contents: latin1('contents!') }],
    ['link', { type: 'symlink', target: 'file' }],
    ['sub', { type: 'directory', entries: new Map() }],
  ]),
});

describe('the NAR decoder refuses', () => {
  it('a NAR that is cut at any byte', () => {
    expect(decodeAll(WHOLE).length).toBeGreaterThan(10);
    for (let size = 0; size < WHOLE.length; size++) {
      expectFormatError('is truncated', () => decodeAll(WHOLE.subarray(0, size)));
    }
  });

  it('any byte after the end, in the same piece or a later one', () => {
    for (const extra of [Uint8Array.of(0), Buffer.alloc(8), WHOLE]) {
      expectFormatError('has bytes after its end', () => decodeAll(Buffer.concat([WHOLE, extra])));
      expectFormatError('has bytes after its end', () => decodeAll(WHOLE, extra));
    }
    expect(() => decodeAll(WHOLE, new Uint8Array())).not.toThrow();
  });

  it('padding that is not zero, at every place where padding is', () => {
    let refused = 0;
    const undisturbed = JSON.stringify(decodeAll(WHOLE));
    for (let at = 0; at < WHOLE.length; at++) {
      if (WHOLE[at] !== 0) continue;
      const spoiled = Buffer.from(WHOLE);
      spoiled[at] = 1;
      let message = '';
      try {
        expect(JSON.stringify(decodeAll(spoiled))).not.toBe(undisturbed);
      } catch (error) {
        message = (error as Error).message;
      }
      expect(message).toMatch(/^NAR: /);
      if (message.includes('non-zero padding')) refused++;
    }
    expect(refused).toBe(paddingBytes(WHOLE));
  });

  it.each([1, 7])('padding that is not zero after contents of %i bytes', (size) => {
    const nar = narOf('(', 'type', 'regular', 'contents', 'x'.repeat(size), ')');
    const padding = nar.length - 16 - (8 - size);
    nar[padding] = 0x78;
    expectFormatError('non-zero padding', () => decodeAll(nar));
  });

  it.each([
    ['an empty stream', Buffer.alloc(0), 'is truncated'],
    ['another magic', Buffer.concat([narString('nix-archive-2'), narOf(...FILE_TOKENS)]), 'expected `nix-archive-1`'],
    ['an archive of another kind', latin1('!<arch>\n'.repeat(4)), 'a length is larger than any file'],
    ['no opening', narOf('type', 'regular'), 'expected `(`, found `type`'],
    ['no type', narOf('(', 'contents', 'x', ')'), 'expected `type`, found `contents`'],
    ['an unknown type', narOf('(', 'type', 'socket', ')'), '`socket` is not a type of file'],
    ['an empty type', narOf('(', 'type', '', ')'), '`` is not a type of file'],
    ['a type twice', narOf('(', 'type', 'regular', 'type', 'regular', ')'), 'expected `contents`, found `type`'],
    ['a tag over 32 bytes', narOf('(', 'type', 'x'.repeat(33)), 'a tag has 33 bytes, over 32'],
    [
      'executable after contents',
      narOf('(', 'type', 'regular', 'contents', 'x', 'executable', '', ')'),
      'expected `)`, found `executable`',
    ],
    ['executable twice', narOf('(', 'type', 'regular', 'executable', '', 'executable', '', ')'), 'expected `contents`'],
    ['executable with a value', narOf('(', 'type', 'regular', 'executable', 'yes', ')'), 'expected ``, found `yes`'],
    ['contents twice', narOf('(', 'type', 'regular', 'contents', 'x', 'contents', 'y', ')'), 'expected `)`'],
    ['a file with a target', narOf('(', 'type', 'regular', 'target', 'x', ')'), 'expected `contents`, found `target`'],
    ['a symlink without a target', narOf('(', 'type', 'symlink', ')'), 'expected `target`, found `)`'],
    ['a symlink with contents', narOf('(', 'type', 'symlink', 'contents', 'x', ')'), 'expected `target`'],
    ['two targets', narOf('(', 'type', 'symlink', 'target', 'x', 'target', 'y', ')'), 'expected `)`'],
    ['an unknown field of a directory', narOf('(', 'type', 'directory', 'mode', '0', ')'), 'expected `entry`'],
    ['an entry without a name', narOf('(', 'type', 'directory', 'entry', '(', 'node'), 'expected `name`'],
    [
      'a node before its name',
      narOf('(', 'type', 'directory', 'entry', '(', 'node', ...FILE_TOKENS, 'name', 'a', ')', ')'),
      'expected `name`, found `node`',
    ],
    ['a name without a node', narOf('(', 'type', 'directory', 'entry', '(', 'name', 'a', ')', ')'), 'expected `node`'],
    [
      'an entry with two nodes',
      narOf('(', 'type', 'directory', 'entry', '(', 'name', 'a', 'node', ...FILE_TOKENS, 'node', ...FILE_TOKENS),
      'expected `)`, found `node`',
    ],
  ])('%s', (_, nar, reason) => {
    expectFormatError(reason, () => decodeAll(nar));
  });

  it.each([
    ['empty', '', 'an entry has an empty name'],
    ['`.`', '.', 'an entry is named `.`'],
    ['`..`', '..', 'an entry is named `..`'],
    ['a path', 'a/b', 'has a slash'],
    ['an absolute path', '/etc/passwd', 'has a slash'],
    ['a climbing path', '../x', 'has a slash'],
    ['a slash', '/', 'has a slash'],
    ['with a NUL', 'a\0b', 'has a NUL byte'],
    ['a NUL', '\0', 'has a NUL byte'],
    ['of 256 bytes', 'n'.repeat(256), 'an entry name has 256 bytes, over 255'],
  ])('an entry name that is %s', (_, name, reason) => {
    expectFormatError(reason, () => decodeAll(narOf(...directoryTokens(name))));
  });

  it.each([
    ['a name twice', ['a', 'a'], 'the entry `a` is there twice'],
    ['a name twice, of a file and a directory', ['a', 'a'], 'is there twice'],
    ['names in the wrong order', ['b', 'a'], 'is not sorted'],
    ['a longer name before its beginning', ['aa', 'a'], 'is not sorted'],
    ['small letters before capitals', ['a', 'A'], 'is not sorted'],
    ['names in the order of signed bytes', ['\xff', 'a'], 'is not sorted'],
    ['names in the order of UTF-16', [utf8('\u{1f600}'), utf8('\ufffd')], 'is not sorted'],
    ['a name again after others', ['a', 'b', 'a'], 'is not sorted'],
  ])('%s', (_, names, reason) => {
    expectFormatError(reason, () => decodeAll(narOf(...directoryTokens(...names))));
  });

  it.each([
    ['empty', '', 'a symlink has an empty target'],
    ['with a NUL', 'a\0b', 'a symlink target has a NUL byte'],
    ['of 4096 bytes', 't'.repeat(4096), 'a symlink target has 4096 bytes, over 4095'],
  ])('a symlink target that is %s', (_, target, reason) => {
    expectFormatError(reason, () => decodeAll(narOf('(', 'type', 'symlink', 'target', target, ')')));
  });

  it('nesting of 64 levels', () => {
    expectFormatError('nested deeper than the 64 levels', () => decodeAll(narOf(...nestedTokens(64))));
    expectFormatError('nested deeper than the 64 levels', () => decodeAll(narOf(...nestedTokens(300))));
    expect(decodeAll(narOf(...nestedTokens(63))).filter((type) => type === 'directory')).toHaveLength(63);
  });

  it('a length over its limit before any of its bytes has come', () => {
    const inName = narOf('(', 'type', 'directory', 'entry', '(', 'name');
    const inTarget = narOf('(', 'type', 'symlink', 'target');
    expectFormatError('an entry name has', () => decodeAll(Buffer.concat([inName, length(2n ** 40n)])));
    expectFormatError('a symlink target has', () => decodeAll(Buffer.concat([inTarget, length(2n ** 40n)])));
    expectFormatError('a tag has', () => decodeAll(length(2n ** 40n)));
  });

  it.each([2n ** 53n, 2n ** 63n, 2n ** 64n - 1n])('contents of %d bytes', (size) => {
    const head = narOf('(', 'type', 'regular', 'contents');
    expectFormatError('larger than any file', () => decodeAll(Buffer.concat([head, length(size)])));
  });
});

describe('the NAR decoder', () => {
  it('allocates nothing for the length of contents', () => {
    const head = narOf('(', 'type', 'regular', 'contents');
    const decoder = createNarDecoder();
    const before = process.memoryUsage();
    const events = [...decoder.push(Buffer.concat([head, length(2n ** 52n), latin1('only this')]))];
    const after = process.memoryUsage();
    expect(events[0]).toEqual({ type: 'regular', executable: false, size: 2 ** 52 });
    expect(events.map(({ type }) => type)).toEqual(['regular', 'contents']);
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(16 * 1024 * 1024);
    expectFormatError('is truncated', () => decoder.end());
  });

  it('accepts names and targets at their limits', () => {
    const events = collect(narOf(...directoryTokens('n'.repeat(255))));
    expect(events[1]).toMatchObject({ type: 'entry', name: Uint8Array.from(latin1('n'.repeat(255))) });
    expect(decodeAll(narOf('(', 'type', 'symlink', 'target', 't'.repeat(4095), ')'))).toEqual(['symlink']);
  });

  it('accepts names that only look dangerous', () => {
    const names = ['...', '..a', '\\', 'a\nb', 'con', '\xff'];
    expect(decodeAll(narOf(...directoryTokens(...names))).filter((type) => type === 'entry')).toHaveLength(6);
  });

  it('accepts a file without contents, as Nix does', () => {
    const empty = { type: 'regular', size: 0, withoutContents: true };
    const plain = collect(narOf('(', 'type', 'regular', ')'));
    expect(plain).toEqual([{ ...empty, executable: false }, { type: 'end' }]);
    const executable = collect(narOf('(', 'type', 'regular', 'executable', '', ')'));
    expect(executable).toEqual([{ ...empty, executable: true }, { type: 'end' }]);
  });

  it('tells a file of empty contents from one without', () => {
    const [event] = collect(narOf('(', 'type', 'regular', 'contents', '', ')'));
    expect(event).toEqual({ type: 'regular', executable: false, size: 0 });
  });

  it('gives names that outlive the piece they came in', () => {
    const nar = narOf('(', 'type', 'directory', ...entryTokens('name', FILE_TOKENS), ')');
    const [, entry] = collect(nar);
    nar.fill(0);
    expect(entry).toMatchObject({ name: Uint8Array.from(latin1('name')) });
  });

  it('throws through a stream as well', async () => {
    const consume = async (pieces: readonly Uint8Array[]) => {
      for await (const _ of decodeNar(pieces));
    };
    await expect(consume([WHOLE.subarray(0, 50)])).rejects.toMatchObject({ code: 'E_FORMAT' });
    await expect(consume([WHOLE, WHOLE])).rejects.toThrow('after its end');
    await expect(consume([WHOLE])).resolves.toBeUndefined();
  });
});

function collect(nar: Uint8Array): NarEvent[] {
  return [...createNarDecoder().push(nar)];
}

function utf8(text: string): string {
  return Buffer.from(text).toString('latin1');
}

/** Counts the padding of a NAR by walking through its strings. */
function paddingBytes(nar: Buffer): number {
  let padding = 0;
  for (let at = 0; at < nar.length; ) {
    const size = Number(nar.readBigUInt64LE(at));
    const padded = Math.ceil(size / 8) * 8;
    padding += padded - size;
    at += 8 + padded;
  }
  return padding;
}
