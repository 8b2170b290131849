import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createHashPartFinder, hashPartList } from '#lib/compression/chunks/hash-parts.js';
import * as arbitrary from '../../../support/arbitraries.js';

const A = '0123456789abcdfghijklmnpqrsvwxyz';
const B = 'abcdfghijklmnpqrsvwxyz0123456789';

/** What is found in a text, in order. */
function findIn(text: string, list: readonly string[]): [number, string][] {
  const bytes = Buffer.from(text, 'latin1');
  const finder = createHashPartFinder(list);
  const found: [number, string][] = [];
  for (let at = finder.next(bytes, 0, bytes.length); at >= 0; at = finder.next(bytes, at + 32, bytes.length)) {
    found.push([at, list[finder.found()]!]);
  }
  return found;
}

describe('the hash parts of a list', () => {
  it('are found wherever they stand, also right behind each other and at both ends', () => {
    expect(findIn(`${A}${B}/${A}-x${B}`, [A, B])).toEqual([
      [0, A],
      [32, B],
      [65, A],
      [99, B],
    ]);
  });

  it('are not found when a character is missing, or another one', () => {
    expect(findIn(`${A.slice(1)} ${A.slice(0, -1)}. ${A.replace('7', '8')} ${A.toUpperCase()}`, [A])).toEqual([]);
  });

  it('are found in runs of characters that could be of others', () => {
    expect(findIn('0'.repeat(100) + A + A.slice(1) + A, [A])).toEqual([
      [100, A],
      [163, A],
    ]);
  });

  it('that overlap are the one that begins first, and what is behind it', () => {
    // The last 22 characters of A are the first of B.
    expect(B.startsWith(A.slice(10))).toBe(true);
    const text = A + B.slice(22);
    expect(findIn(text, [A, B])).toEqual([[0, A]]);
    expect(findIn(text, [B])).toEqual([[10, B]]);
    expect(findIn(`${text}${A}`, [A, B])).toEqual([
      [0, A],
      [42, A],
    ]);
  });

  it('are those that a search for each finds, whatever they and the text are', () => {
    const few = fc.constantFrom(...'0z');
    const part = fc.oneof(
      arbitrary.hashPart(),
      fc.array(few, { minLength: 32, maxLength: 32 }).map((c) => c.join('')),
    );
    fc.assert(
      fc.property(
        fc.uniqueArray(part, { maxLength: 6 }),
        fc.array(fc.oneof(part, few, fc.constant('/'))),
        (list, texts) => {
          const text = [...texts, ...list].join('');
          const expected: [number, string][] = [];
          for (let at = 0; at < text.length; ) {
            const here = text.slice(at, at + 32);
            if (list.includes(here)) expected.push([at, here]);
            at += list.includes(here) ? 32 : 1;
          }
          expect(findIn(text, list)).toEqual(expected);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('of a path are those of its references and its own, each once, in order', () => {
    const path = `/nix/store/${B}-self`;
    const references = [`/nix/store/${A}-one`, `/nix/store/${A}-two`];
    expect(hashPartList({ path, references })).toEqual([A, B]);
    expect(hashPartList({ path, references: [path, ...references] })).toEqual([A, B]);
    expect(hashPartList({ path, references: [] })).toEqual([B]);
  });
});
