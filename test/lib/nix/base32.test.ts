import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeNix32, encodeNix32 } from '#lib/nix/base32.js';

describe('nix32', () => {
  it('gives back the bytes that it rendered', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect([...decodeNix32(encodeNix32(bytes))]).toEqual([...bytes]);
      }),
    );
  });

  it('refuses spare bits that are not zero', () => {
    expect(() => decodeNix32(`z${'0'.repeat(51)}`)).toThrow('spare bits');
  });
});
