import { createHash } from 'node:crypto';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findPin } from '#cache/pins/find.js';
import { parsePinReference } from '#cache/pins/reference.js';
import { openSeenPins } from '#cache/pins/seen.js';
import { type PinRequest, setPin } from '#cache/pins/set.js';
import { nameOf } from '#lib/nix/store-path.js';
import { openFileStore } from '#lib/object-store/file.js';
import type { SecretKey } from '#lib/signing/key.js';
import { signText } from '#lib/signing/signature.js';
import type { WarningEvent } from '#lib/work.js';
import { useDirectory } from '../../support/files.js';
import { parsePin, pinMessage, renderPin } from '../../support/pins.js';
import { sampleKey } from '../../support/samples.js';

const [KEY, OTHER] = [sampleKey('test-1'), sampleKey('other-1', 2)];
const HASH = 'b'.repeat(32);
const NOON = Date.parse('2026-11-01T12:00:00.000Z');

describe('pins of a cache', () => {
  const directory = useDirectory();
  const cache = (name = 'cache') => openFileStore(join(directory(), name));
  const seen = (name = 'seen') => openSeenPins(join(directory(), name));
  const policy = (keys: readonly SecretKey[] = [KEY], now = NOON) => ({
    ...{ keys: keys.map(({ publicKey }) => publicKey), allowUnsigned: false },
    ...{ allowRollback: false, allowExpired: false, now: () => now },
  });
  const request: PinRequest = { name: 'tool', expiresAt: null, keep: 30, discardHistory: false };
  const set = (
    name: string,
    more: Partial<PinRequest> & {
      now?: number;
      keys?: readonly SecretKey[];
      objects?: ReturnType<typeof cache>;
      memory?: string;
    } = {},
  ) => {
    const { now = NOON, keys = [KEY], objects = cache(), memory, ...changed } = more;
    const value = { storePaths: [`/nix/store/${HASH}-${name}`], derivations: [] };
    return setPin(objects, value, { ...request, ...changed }, { keys, policy: policy([], now), seen: seen(memory) });
  };
  const find = async (text = 'tool', { caches = [cache()], rules = policy(), memory = 'seen' } = {}) => {
    const events: WarningEvent[] = [];
    const found = await findPin(caches, parsePinReference(text)!, rules, seen(memory), (event) => events.push(event));
    return {
      name: found && nameOf(found.value.storePaths[0]!),
      warnings: events.map(({ message }) => message),
    };
  };
  const fileOf = (name = 'cache') => join(directory(), name, 'carport/pins/tool.json');

  it('carry their history on, and a value that is set again keeps the time since when it holds', async () => {
    const [first, second] = [await set('one'), await set('two', { now: NOON + 1000 })];
    const again = await set('two', { now: NOON + 2000 });
    expect(first.history).toEqual([]);
    expect(second.history.map(({ since }) => since)).toEqual([first.since]);
    expect(again).toMatchObject({ since: second.since, history: second.history });
    expect(again.updatedAt > second.updatedAt).toBe(true);
    expect((await set('three', { keep: 1 })).history.map(({ storePaths }) => storePaths)).toEqual([again.storePaths]);
    expect((await set('four', { discardHistory: true })).history).toEqual([]);
    expect((await find()).name).toBe('four');
  });

  it('are written later than before, whatever the clock says, so that readers take them', async () => {
    const first = await set('one', { now: NOON });
    expect((await find()).name).toBe('one');
    const second = await set('two', { now: NOON - 86_400_000 });
    expect(second.updatedAt > first.updatedAt).toBe(true);
    expect((await find()).name).toBe('two');
    // Also when it was removed in between.
    const third = await set('three', { now: NOON - 86_400_000, discardHistory: true });
    expect(third.updatedAt > second.updatedAt).toBe(true);
  });

  it('that an older one replaces are noticed, and taken only if that is said, each time', async () => {
    await set('one');
    const old = await readFile(fileOf());
    await set('two', { now: NOON + 1000 });
    expect((await find()).name).toBe('two');
    await writeFile(fileOf(), old);
    await expect(find()).rejects.toMatchObject({ code: 'E_INTEGRITY', message: expect.stringContaining('older') });
    // Elsewhere, too: it is of the same line.
    await mkdir(join(directory(), 'mirror/carport/pins'), { recursive: true });
    await writeFile(fileOf('mirror'), old);
    await expect(find('tool', { caches: [cache('mirror')] })).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    expect((await find('tool', { rules: { ...policy(), allowRollback: true } })).name).toBe('one');
    await expect(find()).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    // Who has seen nothing cannot know.
    expect((await find('tool', { memory: 'new' })).name).toBe('one');
  });

  it('that an older one replaces are noticed whichever trusted key signed which, also when signatures are taken away', async () => {
    const both = policy([KEY, OTHER]);
    await set('one', { keys: [KEY, OTHER] });
    const old = parsePin(await readFile(fileOf(), 'utf8'));
    await set('two', { keys: [OTHER], now: NOON + 1000 });
    expect((await find('tool', { rules: both })).name).toBe('two');
    for (const signature of old.signatures) {
      await writeFile(fileOf(), renderPin({ ...old, signatures: [signature] }));
      await expect(find('tool', { rules: both })).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    }
  });

  it('begun anew in the same cache must be newer, too; those of another cache are another line', async () => {
    await set('one', { now: NOON + 5000 });
    await find();
    await set('elsewhere', { objects: cache('other'), memory: 'other' });
    expect((await find('tool', { caches: [cache('other')] })).name).toBe('elsewhere');
    await writeFile(fileOf(), await readFile(fileOf('other')));
    await expect(find()).rejects.toMatchObject({ code: 'E_INTEGRITY', message: expect.stringContaining('older') });
  });

  it('keep their line, and their order in time, when their history is discarded', async () => {
    const first = await set('one', { now: NOON + 5000 });
    expect((await find()).name).toBe('one');
    const second = await set('two', { discardHistory: true, memory: 'another machine' });
    expect(second).toMatchObject({ id: first.id, history: [] });
    expect(second.updatedAt > first.updatedAt).toBe(true);
    expect((await find()).name).toBe('two');
  });

  it('are noted as the newest, whatever runs at the same time', async () => {
    const times = Array.from({ length: 40 }, (_, index) => new Date(NOON + index * 1000).toISOString());
    const pin = { id: 'a'.repeat(32), name: 'tool' };
    const shuffled = [...times].sort((a, b) => hash(a).localeCompare(hash(b)));
    await Promise.all(shuffled.map((updatedAt) => seen().note({ ...pin, updatedAt }, 'file:///cache')));
    expect(await seen().newest(pin, 'file:///cache')).toBe(times.at(-1));
    expect(await seen().newest(pin, 'file:///other')).toBe(times.at(-1));
    expect(await seen().newest({ ...pin, id: 'b'.repeat(32) }, 'file:///cache')).toBe(times.at(-1));
    expect(await seen().newest({ ...pin, id: 'b'.repeat(32) }, 'file:///other')).toBeUndefined();
  });

  it('that nobody signed are not noted: somebody could make them as new as he likes', async () => {
    await set('one');
    const { signatures: _, ...pin } = parsePin(await readFile(fileOf(), 'utf8'));
    const forged = { ...pin, updatedAt: '2099-01-01T00:00:00.000Z' };
    const signed = await readFile(fileOf());
    await writeFile(
      fileOf(),
      renderPin({ ...forged, signatures: [signText(pinMessage(forged), sampleKey('evil', 3))] }),
    );
    expect((await find('tool', { rules: { ...policy(), allowUnsigned: true } })).name).toBe('one');
    await writeFile(fileOf(), signed);
    expect((await find()).name).toBe('one');
  });

  it('are not carried on when another key has signed them, or when they are damaged', async () => {
    await set('theirs', { keys: [OTHER] });
    await expect(set('one')).rejects.toMatchObject({
      code: 'E_SIGNATURE',
      hint: expect.stringContaining('--discard-history'),
    });
    expect((await find('tool', { rules: policy([OTHER]) })).name).toBe('theirs');
    await writeFile(fileOf(), '{}');
    await expect(set('one')).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    await set('one', { discardHistory: true });
    expect((await find()).name).toBe('one');
  });

  it('expire', async () => {
    await set('one', { expiresAt: new Date(NOON + 1000).toISOString() });
    expect((await find()).name).toBe('one');
    const later = policy([KEY], NOON + 1000);
    await expect(find('tool', { rules: later })).rejects.toMatchObject({
      code: 'E_INTEGRITY',
      message: expect.stringContaining('expired'),
    });
    expect((await find('tool', { rules: { ...later, allowExpired: true } })).name).toBe('one');
    // A maintainer can renew it.
    await set('one', { now: NOON + 2000 });
    expect((await find('tool', { rules: later })).name).toBe('one');
  });

  it('that have expired are not replaced by an older one of another cache', async () => {
    await set('old', { objects: cache('a'), memory: 'a' });
    await cp(join(directory(), 'a'), join(directory(), 'b'), { recursive: true });
    await set('new', {
      objects: cache('b'),
      memory: 'a',
      now: NOON + 1000,
      expiresAt: new Date(NOON + 2000).toISOString(),
    });
    const rules = policy([KEY], NOON + 2000);
    await expect(find('tool', { caches: [cache('a'), cache('b')], rules })).rejects.toMatchObject({
      message: expect.stringContaining('expired'),
    });
    await expect(find('tool', { caches: [cache('a')], rules })).rejects.toMatchObject({
      message: expect.stringContaining('older'),
    });
  });

  it('in several caches: the newest is taken, one that is refused is passed over with a warning', async () => {
    await set('old', { objects: cache('a'), memory: 'a' });
    await set('new', { objects: cache('b'), memory: 'b', now: NOON + 1000 });
    await set('forged', { objects: cache('c'), memory: 'c', now: NOON + 2000, keys: [sampleKey('test-1', 3)] });
    const { name, warnings } = await find('tool', { caches: [cache('a'), cache('c'), cache('b'), cache('empty')] });
    expect(name).toBe('new');
    expect(warnings).toEqual([expect.stringContaining('is wrong')]);
    await expect(find('tool', { caches: [cache('c'), cache('empty')] })).rejects.toMatchObject({ code: 'E_SIGNATURE' });
    expect((await find('tool', { caches: [cache('empty')] })).name).toBeUndefined();
  });

  it('are taken with a warning when it cannot be noted how new they are', async () => {
    await set('one', { memory: 'elsewhere' });
    await writeFile(join(directory(), 'seen'), 'in the way');
    expect(await find()).toEqual({ name: 'one', warnings: [expect.stringContaining('will not be noticed')] });
  });
});

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
