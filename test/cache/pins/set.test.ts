import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openFileStore } from '#cache/object-store/file.js';
import { findPin } from '#cache/pins/find.js';
import { parsePinReference } from '#cache/pins/reference.js';
import { openSeenPins } from '#cache/pins/seen.js';
import { type PinRequest, setPin } from '#cache/pins/set.js';
import type { WorkEvent } from '#lib/events.js';
import { nameOf } from '#lib/nix/store-path.js';
import type { SecretKey } from '#lib/signing/key.js';
import { useDirectory } from '../../support/files.js';
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
    ...{ allowRollback: false, allowExpired: false, now },
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
    const events: WorkEvent[] = [];
    const found = await findPin(caches, parsePinReference(text)!, rules, seen(memory), (event) => events.push(event));
    return {
      name: found && nameOf(found.value.storePaths[0]!),
      warnings: events.map((event) => 'message' in event && event.message),
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

  it('that an older one replaces are noticed, by the key and the name, and taken only if that is said', async () => {
    await set('one');
    const old = await readFile(fileOf());
    await set('two', { now: NOON + 1000 });
    expect((await find()).name).toBe('two');
    await writeFile(fileOf(), old);
    await expect(find()).rejects.toMatchObject({ code: 'E_INTEGRITY', message: expect.stringContaining('older') });
    // Elsewhere, too: the same key has said something newer.
    await mkdir(join(directory(), 'mirror/carport/pins'), { recursive: true });
    await writeFile(fileOf('mirror'), old);
    await expect(find('tool', { caches: [cache('mirror')] })).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    expect((await find('tool', { rules: { ...policy(), allowRollback: true } })).name).toBe('one');
    // That was noted: the older one is now what was seen last.
    expect((await find()).name).toBe('one');
    // Who has seen nothing cannot know.
    expect((await find('tool', { memory: 'new' })).name).toBe('one');
  });

  it('of another key have another memory', async () => {
    await set('one', { now: NOON + 5000 });
    await find();
    await set('theirs', { keys: [OTHER], objects: cache('theirs'), now: NOON, memory: 'theirs' });
    expect((await find('tool', { caches: [cache('theirs')], rules: policy([OTHER, KEY]) })).name).toBe('theirs');
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

  it('are taken with a warning when it cannot be noted how new they are, and not when that is damaged', async () => {
    await set('one', { memory: 'elsewhere' });
    await writeFile(join(directory(), 'seen'), 'in the way');
    expect(await find()).toEqual({ name: 'one', warnings: [expect.stringContaining('will not be noticed')] });
    await find('tool', { memory: 'fresh' });
    const [key] = await readdir(join(directory(), 'fresh'));
    await writeFile(join(directory(), 'fresh', key!, 'tool.json'), 'damaged');
    await expect(find('tool', { memory: 'fresh' })).rejects.toMatchObject({
      code: 'E_INTEGRITY',
      hint: expect.stringContaining('remove it'),
    });
  });
});
