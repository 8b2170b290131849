import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NIX32_ALPHABET } from '#lib/nix/base32.js';
import { toHex } from '#lib/nix/hash.js';
import {
  createHashPartRewriter,
  createMentionScanner,
  createReferenceScanner,
  createSelfReferenceHasher,
  type ReferenceScanner,
} from '#lib/nix/references.js';
import { cuts, cutsOf, hashPart } from '../../support/arbitraries.js';
import { latin1 } from '../../support/nar.js';

const A = 'a'.repeat(32);
const B = '0123456789abcdfghijklmnpqrsvwxyz';

/** Bytes in which hash parts, pieces of them, and near misses are likely. */
const soup = (parts: readonly string[]): fc.Arbitrary<Buffer> => {
  const pieces = fc.oneof(
    fc.constantFrom(...parts),
    fc.tuple(fc.constantFrom(...parts), fc.nat(32)).map(([part, size]) => part.slice(0, size)),
    fc.tuple(fc.constantFrom(...parts), fc.nat(31)).map(([part, at]) => `${part.slice(0, at)}e${part.slice(at + 1)}`),
    fc.string({ unit: fc.constantFrom(...NIX32_ALPHABET, '/', '-', '\0', '\xff'), maxLength: 40 }),
    fc.constantFrom('/nix/store/', '/nix/store', '-name', '-', '/', ' '),
  );
  return fc.array(pieces, { maxLength: 12 }).map((texts) => latin1(texts.join('')));
};

function scan(scanner: ReferenceScanner, pieces: readonly Uint8Array[]): readonly string[] {
  for (const piece of pieces) scanner.push(piece);
  return scanner.found();
}

const threeParts = () => fc.tuple(hashPart(), hashPart(), fc.constantFrom(A, B));

describe('the reference scanner', () => {
  it('finds what a plain search finds, however the bytes are cut', () => {
    const inputs = threeParts().chain((parts) =>
      fc.record({ parts: fc.constant(parts), bytes: soup(parts), cuts: cuts() }),
    );
    fc.assert(
      fc.property(inputs, ({ parts, bytes, cuts }) => {
        const expected = [...new Set(parts)].filter((part) => bytes.includes(part)).sort();
        expect(scan(createReferenceScanner(parts), cutsOf(bytes, cuts))).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  it('finds a hash part across every possible edge, byte by byte too', () => {
    const bytes = latin1(`..${B}..`);
    for (let at = 0; at <= bytes.length; at++) {
      expect(scan(createReferenceScanner([B]), [bytes.subarray(0, at), bytes.subarray(at)])).toEqual([B]);
    }
    const single = [...bytes].map((byte) => Uint8Array.of(byte));
    expect(scan(createReferenceScanner([B]), single)).toEqual([B]);
  });

  it('finds parts that overlap within one run of characters', () => {
    const run = `${B}${A}`;
    const overlapping = run.slice(5, 37);
    expect(scan(createReferenceScanner([B, A, overlapping]), [latin1(run)])).toEqual([B, A, overlapping].sort());
  });

  it('finds only candidates, and not what merely comes close', () => {
    expect(scan(createReferenceScanner([A]), [latin1(B)])).toEqual([]);
    expect(scan(createReferenceScanner([]), [latin1(B)])).toEqual([]);
    expect(scan(createReferenceScanner([B]), [latin1(B.slice(0, 31)), latin1(`e${B}`.slice(0, 32))])).toEqual([]);
    expect(scan(createReferenceScanner([B]), [latin1(B.toUpperCase())])).toEqual([]);
  });

  it('is not changed by what happens to a piece after it was given', () => {
    const scanner = createReferenceScanner([B]);
    const piece = latin1(B.slice(0, 20));
    scanner.push(piece);
    piece.fill(0);
    scanner.push(latin1(B.slice(20)));
    expect(scanner.found()).toEqual([B]);
  });
});

describe('the mention scanner', () => {
  it('finds what a regular expression finds, however the bytes are cut', () => {
    const inputs = threeParts().chain((parts) =>
      fc.record({
        bytes: soup([...parts, `/nix/store/${parts[0]}-a`, `/nix/store/${parts[1]}`]),
        cuts: cuts(),
      }),
    );
    fc.assert(
      fc.property(inputs, ({ bytes, cuts }) => {
        const matches = bytes.toString('latin1').matchAll(new RegExp(`/nix/store/(?=([${NIX32_ALPHABET}]{32})-)`, 'g'));
        const expected = [...new Set([...matches].map(([, part]) => part!))].sort();
        expect(scan(createMentionScanner('/nix/store'), cutsOf(bytes, cuts))).toEqual(expected);
      }),
      { numRuns: 500 },
    );
  });

  it('finds a path across every possible edge', () => {
    const bytes = latin1(`..//nix/store/${B}-x`);
    for (let at = 0; at <= bytes.length; at++) {
      expect(scan(createMentionScanner('/nix/store'), [bytes.subarray(0, at), bytes.subarray(at)])).toEqual([B]);
    }
    const single = [...bytes].map((byte) => Uint8Array.of(byte));
    expect(scan(createMentionScanner('/nix/store'), single)).toEqual([B]);
  });

  it('finds whole paths only, of its own store dir', () => {
    const found = (text: string) => scan(createMentionScanner('/nix/store'), [latin1(text)]);
    expect(found(`see /nix/store/${B}-x`)).toEqual([B]);
    for (const text of [`/nix/store/${B}`, `/nix/store/${B}.`, `/gnu/store/${B}-x`, `/nix/store/e${B.slice(1)}-x`, B]) {
      expect(found(text)).toEqual([]);
    }
  });
});

describe('the hash part rewriter', () => {
  /** Left to right, without overlaps. */
  const naive = (bytes: Buffer, from: string, to: string) => {
    const text = bytes.toString('latin1');
    const positions: number[] = [];
    for (let at = text.indexOf(from); at >= 0; at = text.indexOf(from, at + from.length)) positions.push(at);
    return { text: text.replaceAll(from, to), positions };
  };

  it('replaces as a plain replacement does, and tells where, however the bytes are cut', () => {
    const inputs = fc
      .tuple(fc.oneof(hashPart(), fc.constant(A)), hashPart())
      .chain(([from, to]) =>
        fc.record({ from: fc.constant(from), to: fc.constant(to), bytes: soup([from, to]), cuts: cuts() }),
      );
    fc.assert(
      fc.property(inputs, ({ from, to, bytes, cuts }) => {
        const rewriter = createHashPartRewriter(from, to);
        const pieces = cutsOf(bytes, cuts).map((piece) => Buffer.from(rewriter.push(piece)));
        const rewritten = Buffer.concat([...pieces, rewriter.end()]).toString('latin1');
        expect({ text: rewritten, positions: rewriter.positions }).toEqual(naive(bytes, from, to));
      }),
      { numRuns: 500 },
    );
  });

  it('leaves the bytes that it was given alone', () => {
    const given = latin1(`x${B}x`);
    const rewriter = createHashPartRewriter(B, A);
    expect(Buffer.concat([rewriter.push(given), rewriter.end()]).toString()).toBe(`x${A}x`);
    expect(given.toString()).toBe(`x${B}x`);
  });
});

describe('the self-reference hasher', () => {
  it('hashes the bytes with zeros for the hash part, and then each position', () => {
    const bytes = latin1(`one ${B} two ${B}`);
    const zeros = '\0'.repeat(32);
    const expected = createHash('sha256').update(`one ${zeros} two ${zeros}|4|41`).digest('hex');
    for (let at = 0; at <= bytes.length; at++) {
      const hasher = createSelfReferenceHasher(B);
      hasher.push(bytes.subarray(0, at));
      hasher.push(bytes.subarray(at));
      expect(toHex(hasher.finish().digest)).toBe(expected);
    }
  });

  it('of bytes without the hash part is their sha256', () => {
    const hasher = createSelfReferenceHasher(A);
    hasher.push(latin1(B));
    expect(toHex(hasher.finish().digest)).toBe(createHash('sha256').update(B).digest('hex'));
  });
});
