import { mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createTemporaryNames } from '#lib/filesystem/temporary.js';
import { openOwnStore } from '#lib/store/own/own-store.js';
import {
  isPinReference,
  listPulledPins,
  pinFileName,
  readPulledPin,
  removePulledPin,
  writePulledPin,
} from '#lib/store/own/pulled-pins.js';
import { useDirectory } from '../../../support/files.js';

const directory = useDirectory();
const open = () => openOwnStore(join(directory(), 'root'));
const PIN = {
  reference: 'toolchain',
  storePaths: [`/nix/store/${'0'.repeat(32)}-gcc-12`, `/nix/store/${'1'.repeat(32)}-sysroot`],
  from: 's3://cache?endpoint=garage',
  updatedAt: '2026-11-01T12:00:00.000Z',
};
const fileOf = (reference: string) => join(open().layout.pinsDir, pinFileName({ ...PIN, reference }));

const GOOD = [
  ...['toolchain', 'a', 'gcc-12.2', 'x86_64+debug', '1.0', 'toolchain@previous', 'toolchain@2026-11-01'],
  'toolchain@2026-11-01T12:00:00.123+02:00',
];
const BAD = [
  ...['', '.', '..', '.hidden', '-option', '@previous', 'a/b', '../a', '/a', 'a b', 'a\n', 'a\0', 'é', 'a%2f'],
  'x'.repeat(250),
];

describe('a pulled pin', () => {
  it.each(GOOD)('is read as it was written: %s', async (reference) => {
    const pin = { ...PIN, reference };
    await writePulledPin(open(), pin);
    expect(await readPulledPin(open(), reference)).toEqual(pin);
    expect(await listPulledPins(open())).toEqual([pin]);
    expect(readdirSync(open().layout.pinsDir)).toEqual([basename(fileOf(reference))]);
  });

  it.each(BAD)('cannot be called so: %j', async (reference) => {
    expect(isPinReference(reference)).toBe(false);
    await expect(writePulledPin(open(), { ...PIN, reference })).rejects.toMatchObject({ code: 'E_USAGE' });
    expect(await readPulledPin(open(), reference)).toBeUndefined();
    expect(await removePulledPin(open(), reference)).toBe(false);
    expect(readdirSync(directory())).toEqual([]);
  });

  it('takes the place of what it stood for before', async () => {
    await writePulledPin(open(), PIN);
    const later = { ...PIN, storePaths: PIN.storePaths.slice(1), updatedAt: '2026-11-02T12:00:00.000Z' };
    await writePulledPin(open(), later);
    expect(await listPulledPins(open())).toEqual([later]);
  });

  it('of the same name in two caches is two, of which the last that was pulled counts', async () => {
    const other = { ...PIN, from: 'file:///elsewhere', storePaths: PIN.storePaths.slice(1) };
    await writePulledPin(open(), other);
    await writePulledPin(open(), PIN);
    utimesSync(join(open().layout.pinsDir, pinFileName(other)), 1, 1);
    expect(await readPulledPin(open(), 'toolchain')).toEqual(PIN);
    expect(await readPulledPin(open(), 'toolchain', [other.from, 'file:///nowhere'])).toEqual(other);
    expect(await readPulledPin(open(), 'toolchain', ['file:///nowhere'])).toBeUndefined();
    expect(await listPulledPins(open())).toHaveLength(2);
    expect(await removePulledPin(open(), 'toolchain')).toBe(true);
    expect(await listPulledPins(open())).toEqual([]);
  });

  it('whose record has another name stops the listing, as what it keeps may be in use', async () => {
    await writePulledPin(open(), PIN);
    writeFileSync(join(open().layout.pinsDir, 'a b.json'), '{}');
    await expect(listPulledPins(open())).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  });

  it('that could not be read again is not written', async () => {
    for (const wrong of [{ updatedAt: 'today' }, { storePaths: [] }, { storePaths: ['/gnu/store/x'] }]) {
      await expect(writePulledPin(open(), { ...PIN, ...wrong })).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    }
    expect(readdirSync(directory())).toEqual([]);
  });

  it('is there until it is removed', async () => {
    await writePulledPin(open(), PIN);
    await writePulledPin(open(), { ...PIN, reference: 'toolchain@previous' });
    expect(await removePulledPin(open(), 'toolchain')).toBe(true);
    expect(await removePulledPin(open(), 'toolchain')).toBe(false);
    expect((await listPulledPins(open())).map(({ reference }) => reference)).toEqual(['toolchain@previous']);
  });

  it('that was never pulled is not there, and looking for it makes nothing', async () => {
    expect(await readPulledPin(open(), 'toolchain')).toBeUndefined();
    expect(await listPulledPins(open())).toEqual([]);
    expect(await removePulledPin(open(), 'toolchain')).toBe(false);
    expect(readdirSync(directory())).toEqual([]);
  });

  it('that is being written is not listed', async () => {
    const { pinsDir } = open().layout;
    mkdirSync(pinsDir, { recursive: true });
    writeFileSync((await createTemporaryNames(pinsDir))(), '{');
    expect(await listPulledPins(open())).toEqual([]);
  });

  it.each<[string, (json: typeof PIN & Record<string, unknown>) => unknown]>([
    ['cut', (json) => JSON.stringify(json).slice(0, 30)],
    ['empty', () => ''],
    ['of a later version', (json) => ({ ...json, version: 2 })],
    ['another pin', (json) => ({ ...json, reference: 'other' })],
    ['about a path elsewhere', (json) => ({ ...json, storePaths: [`/gnu/store/${'0'.repeat(32)}-x`] })],
    ['about a path that leads outside', (json) => ({ ...json, storePaths: [`${PIN.storePaths[0]}/../../etc`] })],
    ['about nothing', (json) => ({ ...json, storePaths: [] })],
    ['with a field too many', (json) => ({ ...json, more: 1 })],
    ['without a date', (json) => ({ ...json, updatedAt: 'today' })],
    ['without a cache', (json) => ({ ...json, from: undefined })],
  ])('is refused when its record is %s', async (_, damage) => {
    await writePulledPin(open(), PIN);
    const damaged = damage(JSON.parse(readFileSync(fileOf('toolchain'), 'utf8')));
    writeFileSync(fileOf('toolchain'), typeof damaged === 'string' ? damaged : JSON.stringify(damaged));
    for (const read of [() => readPulledPin(open(), 'toolchain'), () => listPulledPins(open())]) {
      const error = await read().catch((reason) => reason);
      expect(error).toMatchObject({
        code: 'E_INTEGRITY',
        message: `the record \`${fileOf('toolchain')}\` of a pulled pin is damaged`,
      });
      expect(error.hint).toContain('carport store forget toolchain');
    }
    await writePulledPin(open(), PIN);
    expect(await readPulledPin(open(), 'toolchain')).toEqual(PIN);
  });
});
