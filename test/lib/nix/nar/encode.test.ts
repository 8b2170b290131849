import { describe, expect, it } from 'vitest';
import { encodeNar } from '#lib/nix/nar/encode.js';
import type { NarEvent } from '#lib/nix/nar/event.js';
import { expectFormatError } from '../../../support/errors.js';
import { latin1 } from '../../../support/nar.js';

const DIRECTORY: NarEvent = { type: 'directory' };
const END: NarEvent = { type: 'end' };
const EMPTY_FILE: NarEvent[] = [{ type: 'regular', executable: false, size: 0 }, END];
const entry = (name: string): NarEvent => ({ type: 'entry', name: latin1(name) });
const link = (target: string): NarEvent => ({ type: 'symlink', target: latin1(target) });
const file = (size: number): NarEvent => ({ type: 'regular', executable: false, size });
const contents = (text: string): NarEvent => ({ type: 'contents', bytes: latin1(text) });
const named = (...names: string[]): NarEvent[] => [
  DIRECTORY,
  ...names.flatMap((name) => [entry(name), ...EMPTY_FILE]),
  END,
];
const nested = (depth: number): NarEvent[] => [
  ...Array.from({ length: depth }, () => [DIRECTORY, entry('d')]).flat(),
  ...EMPTY_FILE,
  ...Array.from({ length: depth }, () => END),
];

function encode(events: Iterable<NarEvent>): number {
  let size = 0;
  for (const piece of encodeNar(events)) size += piece.length;
  return size;
}

describe('the NAR encoder refuses', () => {
  it.each<[string, NarEvent[], string]>([
    ['an empty name', named(''), 'an entry has an empty name'],
    ['the name `.`', named('.'), 'an entry is named `.`'],
    ['the name `..`', named('..'), 'an entry is named `..`'],
    ['a name with a slash', named('a/b'), 'has a slash'],
    ['a name with a NUL', named('a\0'), 'has a NUL byte'],
    ['a name of 256 bytes', named('n'.repeat(256)), 'over 255'],
    ['a name twice', named('a', 'a'), 'is there twice'],
    ['names that are not sorted', named('a', 'A'), 'is not sorted'],
    ['an empty target', [link('')], 'an empty target'],
    ['a target with a NUL', [link('a\0')], 'has a NUL byte'],
    ['a target of 4096 bytes', [link('t'.repeat(4096))], 'over 4095'],
    ['nesting of 64 levels', nested(64), 'nested deeper than the 64 levels'],
    ['no events', [], 'ends in the middle of a node'],
    ['an open directory', [DIRECTORY], 'ends in the middle of a node'],
    ['an open file', [file(0)], 'ends in the middle of a node'],
    ['two roots', [link('a'), link('b')], 'has more than one root'],
    ['events after the root’s end', [...EMPTY_FILE, END], 'has more than one root'],
    ['an end before anything', [END], 'a node ends out of place'],
    ['an entry without a directory', [entry('a')], 'an entry is out of place'],
    ['an entry in a file', [file(1), entry('a')], 'an entry is out of place'],
    ['an entry without a node', [DIRECTORY, entry('a'), entry('b')], 'an entry is out of place'],
    ['an end in place of a node', [DIRECTORY, entry('a'), END], 'a node ends out of place'],
    ['a node without an entry', [DIRECTORY, link('a')], 'a node has no entry'],
    ['a second node after one entry', [DIRECTORY, entry('a'), link('x'), link('y')], 'a node has no entry'],
    ['a node in a file', [file(1), link('a')], 'a node has no entry'],
    ['contents in a directory', [DIRECTORY, contents('x')], 'contents are out of place'],
    ['contents without a file', [contents('x')], 'contents are out of place'],
    ['more contents than the size', [file(1), contents('x'), contents('y')], 'more bytes than its size'],
    ['fewer contents than the size', [file(2), contents('x'), END], 'fewer bytes than its size'],
  ])('%s', (_, events, reason) => {
    expectFormatError(reason, () => encode(events));
  });
});

describe('the NAR encoder', () => {
  it('accepts what is just within the limits', () => {
    expect(encode(nested(63))).toBeGreaterThan(0);
    expect(encode(named('n'.repeat(255)))).toBeGreaterThan(255);
    expect(encode([link('t'.repeat(4095))])).toBeGreaterThan(4095);
  });

  it('writes pieces while the events come, not at the end', () => {
    let taken = 0;
    function* events(): Generator<NarEvent> {
      yield file(10 * 100_000);
      for (taken = 0; taken < 10; taken++) yield contents('x'.repeat(100_000));
      yield END;
    }
    const pieces = encodeNar(events());
    pieces.next();
    expect(taken).toBeLessThan(2);
  });
});
