import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isRaw, rawBytes, rawText } from '#lib/raw-text.js';

describe('raw text', () => {
  it('is the text where bytes are UTF-8', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(rawText(Buffer.from(text))).toBe(text);
        expect(isRaw(text)).toBe(false);
        expect(rawBytes(text)).toEqual(Buffer.from(text));
      }),
    );
  });

  it('has all bytes, whatever they are', () => {
    const piece = fc.oneof(
      fc.uint8Array(),
      fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
      // Nearly UTF-8: too long, a surrogate, beyond Unicode, cut off.
      fc
        .constantFrom('c0af', 'e08080', 'eda080', 'f08080af', 'f4908080', 'f0908d', 'e282')
        .map((hex) => Buffer.from(hex, 'hex')),
    );
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const bytes = Buffer.concat(pieces);
        expect(rawBytes(rawText(bytes))).toEqual(bytes);
        const decoded = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
        expect(isRaw(rawText(bytes))).toBe(!Buffer.from(decoded).equals(bytes));
      }),
      { numRuns: 1000 },
    );
  });

  it('is split and joined as other text is', () => {
    const bytes = Buffer.from('/a:/caf\xe9:/b', 'latin1');
    const [, directory] = rawText(bytes).split(':');
    expect(rawBytes(directory!)).toEqual(Buffer.from('/caf\xe9', 'latin1'));
  });
});
