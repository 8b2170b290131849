import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPinName, type Pin, type PinValue } from '#cache/pins/pin.js';
import { parsePinReference, selectValue } from '#cache/pins/reference.js';
import { hashPart, storePath } from '../../support/arbitraries.js';
import { expectError, expectFormatError } from '../../support/errors.js';
import { parsePin, pinMessage, renderPin } from '../../support/pins.js';

const time = () =>
  fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true }).map((at) => at.toISOString());
const value = (): fc.Arbitrary<PinValue> =>
  fc.record({
    since: time(),
    storePaths: fc.array(storePath(), { minLength: 1, maxLength: 4 }),
    derivations: fc.array(storePath(), { maxLength: 3 }),
  });
const pin = (): fc.Arbitrary<Pin> =>
  fc
    .tuple(
      fc.record({
        name: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,20}$/).filter(isPinName),
        id: hashPart(),
        updatedAt: time(),
        expiresAt: fc.option(time()),
        history: fc.array(value(), { maxLength: 3 }),
        signatures: fc.array(fc.string({ unit: 'grapheme-ascii' }), { maxLength: 2 }),
      }),
      value(),
    )
    .map(([fields, present]) => ({ ...fields, ...present }));

const HASH = 'a'.repeat(32);
const sample: Pin = {
  name: 'toolchain',
  id: '0'.repeat(32),
  updatedAt: '2026-11-03T10:00:00.000Z',
  expiresAt: null,
  since: '2026-11-02T10:00:00.000Z',
  storePaths: [`/nix/store/${HASH}-new`],
  derivations: [`/nix/store/${HASH}-new.drv`],
  history: [
    { since: '2026-11-01T10:00:00.000Z', storePaths: [`/nix/store/${HASH}-old`], derivations: [] },
    { since: '2026-10-01T10:00:00.000Z', storePaths: [`/nix/store/${HASH}-older`], derivations: [] },
  ],
  signatures: ['k:c2ln'],
};

describe('a pin', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(pin(), (one) => {
        expect(parsePin(renderPin(one))).toEqual(one);
      }),
    );
  });

  it('has a signed text that tells any two pins apart, and begins as no fingerprint of a path does', () => {
    fc.assert(
      fc.property(pin(), pin(), (a, b) => {
        const [{ signatures: _, ...one }, { signatures: __, ...other }] = [a, b];
        const same =
          JSON.stringify(parsePin(renderPin({ ...one, signatures: [] }))) ===
          JSON.stringify(parsePin(renderPin({ ...other, signatures: [] })));
        expect(pinMessage(a) === pinMessage(b)).toBe(same);
        expect(pinMessage(a)).toMatch(/^carport-pin\n/);
      }),
    );
  });

  const json = () => JSON.parse(renderPin(sample)) as Record<string, unknown>;
  it.each([
    ['another version', { version: 2 }, 'version'],
    ['an id that is none', { id: 'x' }, 'id'],
    ['too many signatures', { signatures: Array.from({ length: 17 }, String) }, 'signatures'],
    ['a field that no signature covers', { more: 1 }, 'more'],
    ['no store path', { storePaths: [] }, 'storePaths'],
    ['a path that is none', { storePaths: ['/etc/passwd'] }, 'storePaths'],
    ['a path out of the store dir', { storePaths: [`/nix/store/../${HASH}-a`] }, 'storePaths'],
    ['a path that is a number', { storePaths: [7] }, 'storePaths'],
    ['a file in a path', { storePaths: [`/nix/store/${HASH}-a/bin/sh`] }, 'storePaths'],
    ['a derivation that is none', { derivations: ['x.drv'] }, 'derivations'],
    ['a time that is none', { updatedAt: 'yesterday' }, 'updatedAt'],
    ['a time in other words', { updatedAt: '2026-11-03T10:00:00Z' }, 'updatedAt'],
    ['a day that is none', { expiresAt: '2026-02-31T10:00:00.000Z' }, 'expiresAt'],
    ['history that is none', { history: [{}] }, 'history'],
    ['more in its history', { history: [{ ...sample.history[0], more: 1 }] }, 'more'],
    ['no signatures', { signatures: null }, 'signatures'],
  ])('is refused with %s', (_, change, field) => {
    expectFormatError(field, () => parsePin(JSON.stringify({ ...json(), ...change })));
  });

  it('is refused without one of its fields, or with a name that leads elsewhere', () => {
    for (const field of Object.keys(json())) {
      const { [field]: _, ...rest } = json();
      expectFormatError('pin', () => parsePin(JSON.stringify(rest)));
    }
    for (const name of ['', '../x', 'a/b', '.', '-a', 'a@b', 'a b', `${HASH}`, `${HASH}-x`, 'x'.repeat(101), 'a\n']) {
      expectFormatError('name', () => parsePin(JSON.stringify({ ...json(), name })));
    }
    for (const text of ['', 'null', '[]', '{', '"x"']) expectFormatError('pin', () => parsePin(text));
  });

  it('may have no name that could be a hash part or a store path', () => {
    fc.assert(
      fc.property(hashPart(), (part) => {
        expect(isPinName(part)).toBe(false);
        expect(isPinName(`${part}-name`)).toBe(false);
      }),
    );
  });
});

describe('a reference to a pin', () => {
  const select = (text: string) => selectValue(sample, parsePinReference(text)!).storePaths[0]!.slice(44);

  it('means the present value, the one before, or the one that held at a time', () => {
    expect(select('toolchain')).toBe('new');
    expect(select('toolchain@previous')).toBe('old');
    // Its own day counts to its end, in UTC.
    expect(select('toolchain@2026-11-02')).toBe('new');
    expect(select('toolchain@2026-11-01')).toBe('old');
    expect(select('toolchain@2026-10-31')).toBe('older');
    expect(select('toolchain@2026-11-01T09:59:59Z')).toBe('older');
    expect(select('toolchain@2026-11-01T10:00:00.000Z')).toBe('old');
    expect(select('toolchain@2026-11-01T12:00+02:00')).toBe('old');
    expect(select('toolchain@2030-01-01')).toBe('new');
  });

  it('to what is not in the history is not found', () => {
    expectError('E_NOT_FOUND', 'toolchain@2026-09-01', () => select('toolchain@2026-09-01'));
    const young = { ...sample, history: [] };
    expectError('E_NOT_FOUND', 'toolchain@previous', () =>
      selectValue(young, parsePinReference('toolchain@previous')!),
    );
  });

  it('with another selector is an error, and what is no name of a pin is no reference', () => {
    for (const selector of [
      '',
      'next',
      '2026',
      '2026-13-01',
      '2026-02-31',
      '2026-02-31T10:00:00Z',
      '2026-11-01T12:00',
      '1',
      'previous ',
    ]) {
      expectError('E_USAGE', `toolchain@${selector}`, () => parsePinReference(`toolchain@${selector}`));
    }
    for (const text of ['./x', '/nix/store', '', '-', `${HASH}-x`, HASH, 'a/b@previous']) {
      expect(parsePinReference(text)).toBeUndefined();
    }
  });
});
