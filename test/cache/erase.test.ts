import { describe, expect, it } from 'vitest';
import { erase, planErase } from '#cache/erase.js';
import { CarportError } from '#lib/errors.js';
import type { ActivityEvent } from '#lib/work.js';
import { createKeyStore } from '../support/memory-store.js';

const HASH = '0'.repeat(32);
const CACHE = [
  ...['nix-cache-info', `${HASH}.narinfo`, `${HASH.replace('0', '1')}.narinfo`, `${HASH}.ls`],
  ...['nar/x.nar.zst', 'log/x.drv', 'debuginfo/x', 'realisations/x!out.doi', 'build-trace-v2/x/out.doi'],
  ...[
    'carport/pins/x.json',
    'carport/leases/x.json',
    'carport/sweeps/x.json',
    'carport/stats/x.json',
    'carport/skips/x.json',
  ],
];
const OTHERS = [
  ...['index.html', 'robots.txt', 'x.narinfo', 'x.ls', 'narinfo', 'nar', 'nar.txt', `dir/${HASH}.narinfo`],
  ...['_releases/v1/x86_64/bin', '_releases.html', '_releases.json', 'releases/index.json', 'releases/feed.atom'],
  ...['carport/yanks/v1.json', 'carport/promotions/v1.json', 'carport/prunings/v1.json'],
  ...['carport/releases/v1/x.json', 'carport/other', 'logs/x', 'dir/nix-cache-info'],
];

describe('erasing a cache', () => {
  it('plans what belongs to it: the description first, then narinfos, then what they name', async () => {
    const plan = await planErase(createKeyStore([...CACHE, ...OTHERS]).objects);
    expect([...plan.keys].sort()).toEqual([...CACHE].sort());
    expect(plan.others).toBe(OTHERS.length);
    expect(plan.size).toBe(CACHE.join('').length);
    expect(plan.keys[0]).toBe('nix-cache-info');
    expect(plan.keys.slice(1, 3).every((key) => key.endsWith('.narinfo'))).toBe(true);
    expect(plan.keys.slice(3).some((key) => key.endsWith('.narinfo'))).toBe(false);
  });

  it('plans nothing where there is no cache', async () => {
    expect(await planErase(createKeyStore([]).objects)).toEqual({ keys: [], size: 0, others: 0 });
    expect(await planErase(createKeyStore(OTHERS).objects)).toEqual({ keys: [], size: 0, others: OTHERS.length });
  });

  it('removes what was planned, in order and in batches, and tells how far it is', async () => {
    const many = Array.from({ length: 2_300 }, (_, index) => `nar/${index}`);
    const store = createKeyStore([...CACHE, ...OTHERS, ...many]);
    const told: ActivityEvent[] = [];
    await erase(store.objects, await planErase(store.objects), (event) => void told.push(event));
    expect([...store.keys()].sort()).toEqual([...OTHERS].sort());
    expect(store.calls.removed).toEqual([1000, 1000, 314]);
    expect(told).toEqual([
      { type: 'started', verb: 'erase', unit: 'objects', items: 2314 },
      ...[1000, 1000, 314].map((items) => ({ type: 'progress', items })),
    ]);
    await erase(store.objects, await planErase(store.objects), (event) => expect(event.type).toBe('started'));
  });

  it('removes unfinished NARs last', async () => {
    const store = createKeyStore(CACHE);
    const asked: (string | number)[] = [];
    const removeUnfinished = async (prefix: string) => asked.push(prefix, store.keys().length);
    const objects = { ...store.objects, removeUnfinished };
    await erase(objects, await planErase(objects), () => undefined);
    expect(asked).toEqual(['nar/', 0]);
  });

  it('is not for web servers', async () => {
    const { list: _, remove: __, ...web } = createKeyStore(CACHE).objects;
    const wanted = {
      code: 'E_UNSUPPORTED',
      message: expect.stringContaining('is a web server, whose cache cannot be'),
    };
    await expect(planErase(web)).rejects.toMatchObject(wanted);
    const failed = erase(web, { keys: ['nix-cache-info'], size: 1, others: 0 }, () => undefined);
    await expect(failed).rejects.toBeInstanceOf(CarportError);
    await expect(failed).rejects.toMatchObject({ code: 'E_UNSUPPORTED', hint: expect.stringContaining('s3://') });
  });
});
