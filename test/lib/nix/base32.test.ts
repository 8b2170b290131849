import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeNix32, encodeNix32, NIX32_ALPHABET, nix32Length, nix32Value } from '#lib/nix/base32.js';
import { hashPart } from '../../support/arbitraries.js';
import { expectFormatError } from '../../support/errors.js';

/** The definition: the bytes are one number, little endian, written in base 32 with the largest digit first. */
function naiveNix32(bytes: Uint8Array): string {
  let number = 0n;
  for (const byte of [...bytes].reverse()) number = number * 256n + BigInt(byte);
  let text = '';
  for (let digits = Math.ceil((bytes.length * 8) / 5); digits > 0; digits--) {
    text = NIX32_ALPHABET[Number(number % 32n)] + text;
    number /= 32n;
  }
  return text;
}

describe('nix32', () => {
  it('gives back the bytes that it rendered', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect([...decodeNix32(encodeNix32(bytes))]).toEqual([...bytes]);
      }),
    );
  });

  it('renders a little-endian number in base 32', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => encodeNix32(bytes) === naiveNix32(bytes)));
  });

  it('gives back every hash part that it parsed: 32 characters have no spare bits', () => {
    fc.assert(fc.property(hashPart(), (text) => encodeNix32(decodeNix32(text)) === text));
  });

  it('has one text for one digest: what parses renders to the same text', () => {
    const texts = fc.string({ unit: fc.constantFrom(...NIX32_ALPHABET), maxLength: 60 });
    fc.assert(
      fc.property(texts, (text) => {
        try {
          expect(encodeNix32(decodeNix32(text))).toBe(text);
        } catch (error) {
          expect((error as Error).message).toMatch(/length \d+ is impossible|spare bits/);
        }
      }),
    );
  });

  it.each([
    [0, 0],
    [1, 2],
    [16, 26],
    [20, 32],
    [32, 52],
    [64, 103],
  ])('takes, for %i bytes, %i characters', (size, length) => {
    expect(nix32Length(size)).toBe(length);
    expect(encodeNix32(new Uint8Array(size))).toHaveLength(length);
  });

  it('knows the value of every character of its alphabet, and of no other', () => {
    expect([...NIX32_ALPHABET].map((char) => nix32Value(char.charCodeAt(0)))).toEqual([...Array(32).keys()]);
    for (const char of 'eotuEOTUA-/ \0é\u0130') expect(nix32Value(char.charCodeAt(0))).toBe(-1);
  });

  it('refuses spare bits that are not zero', () => {
    expectFormatError('spare bits', () => decodeNix32(`z${'0'.repeat(51)}`));
    expectFormatError('spare bits', () => decodeNix32(`2${'0'.repeat(51)}`));
    expect(decodeNix32(`1${'0'.repeat(51)}`)[31]).toBe(128);
  });

  it('refuses characters outside its alphabet', () => {
    for (const char of ['e', 'A', ' ', '\n', '=', 'é', '\u0130']) {
      expectFormatError('not in the alphabet', () => decodeNix32(`${'0'.repeat(31)}${char}`));
    }
  });

  it('refuses lengths that no bytes render to', () => {
    for (const length of [1, 3, 6, 9, 11, 33]) {
      expectFormatError(`length ${length} is impossible`, () => decodeNix32('0'.repeat(length)));
    }
  });
});
