import { describe, expect, it } from 'vitest';
import { delayedStore, type Scheduler } from '#lib/object-store/decorators/delayed.js';
import { faultyStore, type StoreFault } from '#lib/object-store/decorators/faulty.js';
import { isChange, type StoreOperation } from '#lib/object-store/decorators/operations.js';
import { watchedStore } from '#lib/object-store/decorators/watched.js';
import { type MemoryObjects, openMemoryStore } from '#lib/object-store/memory.js';
import type { WriteStore } from '#lib/object-store/object-store.js';
import { describeObjectStore } from '../conformance.js';

const TEXT = { contentType: 'text/plain' };

describeObjectStore('a watched, delayed store in which nothing fails', async () => {
  const content: MemoryObjects = new Map();
  const free: Scheduler = { turn: () => Promise.resolve() };
  const reopen = () =>
    watchedStore(
      delayedStore(
        faultyStore(openMemoryStore(content), () => undefined),
        'a',
        free,
      ),
      {},
    );
  const objects = reopen();
  return { objects, reopen, metadataOf: async (key) => content.get(key)!.metadata, remove: () => objects.close() };
});

/** Does everything that can be done, once. */
async function doEverything(store: WriteStore): Promise<void> {
  await store.put('a', Buffer.from('a'), TEXT);
  await store.read('a', 10);
  await store.stat('a');
  (await store.open('a', { offset: 0, length: 1 }))?.discard();
  await store.copy('a', 'b');
  await store.alias('a', 'c');
  for await (const _ of store.list({ prefix: 'a' }));
  await store.remove(['b', 'c']);
  await store.removeUnfinished('nar/');
  await store.now();
}

const EVERYTHING = [
  ...['put a', 'read a', 'stat a', 'open a', 'copy b', 'alias c', 'list a', 'remove b c'],
  ...['removeUnfinished nar/', 'now '],
];

const textOf = ({ method, keys }: StoreOperation) => `${method} ${keys.join(' ')}`;

describe('a watched store', () => {
  it('tells of every operation before and after it', async () => {
    const told: string[] = [];
    const changes: string[] = [];
    const store = watchedStore(openMemoryStore(), {
      before(operation) {
        told.push(`before ${textOf(operation)}`);
        if (isChange(operation)) changes.push(operation.method);
      },
      after: (operation) => void told.push(`after ${textOf(operation)}`),
    });
    await doEverything(store);
    expect(told).toEqual(EVERYTHING.flatMap((text) => [`before ${text}`, `after ${text}`]));
    expect(changes).toEqual(['put', 'copy', 'alias', 'remove']);
  });

  it('waits for who is told, and fails as he does', async () => {
    const inner = openMemoryStore();
    const store = watchedStore(inner, {
      async before({ keys }) {
        await Promise.resolve();
        if (keys[0] === 'no') throw new Error('not this');
      },
    });
    await expect(store.put('no', Buffer.from('x'), TEXT)).rejects.toThrow('not this');
    expect(await inner.stat('no')).toBeUndefined();
    await store.put('yes', Buffer.from('x'), TEXT);
    expect((await inner.stat('yes'))?.size).toBe(1);
  });
});

describe('a faulty store', () => {
  const faultyAt = (key: string, fault: StoreFault) => {
    const inner = openMemoryStore();
    return { inner, store: faultyStore(inner, ({ keys }) => (keys[0] === key ? fault : undefined)) };
  };

  it('fails at each operation that is chosen, and goes on', async () => {
    for (const [at, wanted] of EVERYTHING.entries()) {
      let count = 0;
      const store = faultyStore(openMemoryStore(), () => (count++ === at ? 'before' : undefined));
      await expect(doEverything(store), wanted).rejects.toMatchObject({
        fault: 'before',
        message: `before ${wanted}`.trim(),
      });
      expect(await store.read('none', 1)).toBeUndefined();
    }
  });

  it('has done nothing, or all of it, as the fault says', async () => {
    for (const [fault, size] of [
      ['before', undefined],
      ['killed', undefined],
      ['after', 1],
    ] as const) {
      const { inner, store } = faultyAt('x', fault);
      await expect(store.put('x', Buffer.from('x'), TEXT)).rejects.toMatchObject({ fault });
      expect((await inner.stat('x'))?.size, fault).toBe(size);
    }
  });

  it('does nothing more when it is killed, and others are not', async () => {
    const { inner, store } = faultyAt('x', 'killed');
    await store.put('before', Buffer.from('x'), TEXT);
    await expect(store.put('x', Buffer.from('x'), TEXT)).rejects.toThrow('killed put x');
    await expect(store.put('later', Buffer.from('x'), TEXT)).rejects.toThrow('killed put later');
    await expect(store.read('before', 10)).rejects.toThrow('killed');
    const keys: string[] = [];
    for await (const { key } of inner.list({})) keys.push(key);
    expect(keys).toEqual(['before']);
  });
});

describe('a delayed store', () => {
  /** Takes turns as a seed says: one of those that wait goes on at a time. */
  const runSeeded = async (seed: number) => {
    const waiting: { readonly who: string; readonly go: () => void }[] = [];
    const order: string[] = [];
    const scheduler: Scheduler = {
      turn: (who) => new Promise((go) => waiting.push({ who, go: () => go() })),
    };
    const content: MemoryObjects = new Map();
    const increment = async (actor: string) => {
      const store = delayedStore(openMemoryStore(content), actor, scheduler);
      const count = Number((await store.read('count', 10)) ?? 0);
      await store.put('count', Buffer.from(String(count + 1)), TEXT);
    };
    let running = 2;
    for (const actor of ['a', 'b']) void increment(actor).finally(() => running--);
    let state = seed;
    while (running > 0) {
      await new Promise((resolve) => setImmediate(resolve));
      state = (state * 48_271) % 2_147_483_647;
      const [next] = waiting.splice(state % Math.max(1, waiting.length), 1);
      if (!next) continue;
      order.push(next.who);
      next.go();
    }
    return { order: order.join(''), count: String(content.get('count')!.bytes) };
  };
  const countOf = async (seed: number) => Buffer.from((await runSeeded(seed)).count.split(',').map(Number)).toString();

  it('interleaves processes as the scheduler says, the same for the same seed', async () => {
    expect(await runSeeded(7)).toEqual(await runSeeded(7));
    const counts = new Set<string>();
    for (let seed = 1; seed <= 30; seed++) counts.add(await countOf(seed));
    // One after the other, and one that has read before the other has written.
    expect([...counts].sort()).toEqual(['1', '2']);
  });
});
