import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allDone, createLimit, type DependencyWork, inDependencyOrder, mapAtMost } from '#lib/concurrency.js';

/** How long an item's work takes, in turns of the event loop, and whether it fails then. */
const works = (failing: number) =>
  fc.array(
    fc.record({
      turns: fc.integer({ min: 1, max: 4 }),
      fails: failing === 0 ? fc.constant(false) : fc.nat({ max: failing }).map((n) => n === 0),
    }),
    { minLength: 1, maxLength: 12 },
  );

interface Item {
  readonly turns: number;
  readonly fails: boolean;
}

/** Work that notes what it does. */
function recorder() {
  const begun: number[] = [];
  const ended: number[] = [];
  const failures: Error[] = [];
  let running = 0;
  let most = 0;
  return {
    begun,
    ended,
    failures,
    running: () => running,
    most: () => most,
    async run({ turns, fails }: Item, index: number): Promise<number> {
      begun.push(index);
      most = Math.max(most, ++running);
      for (let turn = 0; turn < turns; turn++) await setImmediate();
      running--;
      if (fails) {
        failures.push(new Error(`item ${index}`));
        throw failures.at(-1);
      }
      ended.push(index);
      return index;
    },
  };
}

async function failureOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error) => error,
  );
}

/** Lets everything go on that was left behind. */
async function wait(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await setImmediate();
}

describe('allDone', () => {
  it('gives the results in their order, or the first failure of the list when all has ended', async () => {
    await fc.assert(
      fc.asyncProperty(works(4), async (items) => {
        const { run, running, begun } = recorder();
        const indexes = items.map((_, index) => index);
        const first = items.findIndex(({ fails }) => fails);
        const done = allDone(items.map(run));
        if (first < 0) expect(await done).toEqual(indexes);
        else expect(await failureOf(done)).toMatchObject({ message: `item ${first}` });
        expect(running()).toBe(0);
        expect(begun).toEqual(indexes);
      }),
    );
  });
});

describe('createLimit', () => {
  it('begins in the order of calls, and never more at a time', async () => {
    await fc.assert(
      fc.asyncProperty(works(0), fc.integer({ min: 1, max: 5 }), async (items, atOnce) => {
        const { run, most, begun } = recorder();
        const limit = createLimit(atOnce);
        const results = await Promise.all(items.map((item, index) => limit(() => run(item, index))));
        expect(results).toEqual(items.map((_, index) => index));
        expect(begun).toEqual(results);
        expect(most()).toBeLessThanOrEqual(atOnce);
      }),
    );
  });
});

describe('mapAtMost', () => {
  it('gives the results in the order of the items, so many at a time', async () => {
    await fc.assert(
      fc.asyncProperty(works(0), fc.integer({ min: 1, max: 5 }), async (items, atOnce) => {
        const { run, most, begun } = recorder();
        const results = await mapAtMost(atOnce, new Set(items), run);
        expect(results).toEqual(items.map((_, index) => index));
        expect(begun).toEqual(results);
        expect(most()).toBe(Math.min(atOnce, items.length));
      }),
    );
  });

  it('throws the first failure, begins nothing after it, and leaves nothing running', async () => {
    await fc.assert(
      fc.asyncProperty(works(3), fc.integer({ min: 1, max: 5 }), async (items, atOnce) => {
        const { run, running, begun, failures } = recorder();
        let begunLate = 0;
        const error = await failureOf(
          mapAtMost(atOnce, items, (item, index) => {
            if (failures.length > 0) begunLate++;
            return run(item, index);
          }),
        );
        expect(error).toBe(failures[0]);
        expect(running()).toBe(0);
        const before = begun.length;
        await wait();
        expect(begun).toHaveLength(before);
        expect(begunLate).toBe(0);
      }),
    );
  });

  it('begins nothing once the signal is aborted, waits for what was begun, and throws the reason', async () => {
    await fc.assert(
      fc.asyncProperty(works(0), fc.nat({ max: 12 }), async (items, at) => {
        const { run, running, begun, ended } = recorder();
        const interrupt = new AbortController();
        const reason = new Error('interrupted');
        const stopAt = Math.min(at, items.length - 1);
        const error = await failureOf(
          mapAtMost(
            1,
            items,
            async (item, index) => {
              if (index === stopAt) interrupt.abort(reason);
              return run(item, index);
            },
            interrupt.signal,
          ),
        );
        expect(error).toBe(reason);
        expect(running()).toBe(0);
        expect(ended).toEqual(begun);
        await wait();
        expect(begun).toHaveLength(stopAt + 1);
      }),
    );
  });

  it('does nothing where the signal was aborted before', async () => {
    const { run, begun } = recorder();
    const reason = new Error('interrupted');
    const work = mapAtMost(2, [{ turns: 0, fails: false }], run, AbortSignal.abort(reason));
    await expect(work).rejects.toBe(reason);
    expect(begun).toEqual([]);
    expect(await mapAtMost(2, [], run)).toEqual([]);
  });
});

/** A graph whose items refer to earlier ones, to themselves, and to what is not in it; some steps of it fail. */
const graphs = (failing: number) =>
  fc
    .array(
      fc.record({
        references: fc.array(fc.nat({ max: 20 }), { maxLength: 4 }),
        prepare: works(failing).map(([item]) => item!),
        publish: works(failing).map(([item]) => item!),
      }),
      { minLength: 1, maxLength: 10 },
    )
    .map((items) =>
      items.map((item, index) => ({ ...item, references: item.references.filter((to) => to <= index || to > 10) })),
    );

type Graph = typeof graphs extends (failing: number) => fc.Arbitrary<infer T> ? T : never;

/** The work for a graph, which notes what is done. */
function dependencyWork(graph: Graph) {
  const preparing = recorder();
  const publishing = recorder();
  const discarded: number[] = [];
  const work: DependencyWork<number, string> = {
    prepare: async (item) => `${await preparing.run(graph[item]!.prepare, item)} prepared`,
    async publish(item, prepared) {
      expect(prepared).toBe(`${item} prepared`);
      for (const reference of graph[item]!.references) {
        if (reference !== item && reference < graph.length) expect(publishing.ended).toContain(reference);
      }
      await publishing.run(graph[item]!.publish, item);
    },
    async discard(item, prepared) {
      expect(prepared).toBe(`${item} prepared`);
      await setImmediate();
      discarded.push(item);
    },
  };
  return {
    order: [...graph.keys()],
    referencesOf: (item: number) => graph[item]!.references,
    preparing,
    publishing,
    discarded,
    work,
  };
}

describe('inDependencyOrder', () => {
  it('publishes each item after its references', async () => {
    await fc.assert(
      fc.asyncProperty(graphs(0), async (graph) => {
        const { order, referencesOf, preparing, publishing, discarded, work } = dependencyWork(graph);
        await inDependencyOrder(order, referencesOf, work);
        expect([...publishing.ended].sort((a, b) => a - b)).toEqual(order);
        expect(preparing.begun).toEqual(order);
        expect(discarded).toEqual([]);
      }),
    );
  });

  it('prepares within limits, some items first', async () => {
    await fc.assert(
      fc.asyncProperty(graphs(0), fc.integer({ min: 1, max: 4 }), fc.nat(), async (graph, atOnce, seed) => {
        const { order, referencesOf, preparing, publishing, work } = dependencyWork(graph);
        const prepareFirst = order.filter((item) => (item + seed) % 3 === 0).reverse();
        const limit = createLimit(atOnce);
        const one = createLimit(1);
        await inDependencyOrder(order, referencesOf, work, {
          prepareFirst,
          prepare: () => limit,
          publish: () => one,
        });
        const rest = order.filter((item) => !prepareFirst.includes(item));
        expect(preparing.begun).toEqual([...prepareFirst, ...rest]);
        expect(preparing.most()).toBe(Math.min(atOnce, graph.length));
        expect(publishing.most()).toBe(1);
      }),
    );
  });

  it('throws the first failure when all has ended: what was prepared is published or discarded', async () => {
    await fc.assert(
      fc.asyncProperty(graphs(5), fc.integer({ min: 1, max: 4 }), async (graph, atOnce) => {
        const { order, referencesOf, preparing, publishing, discarded, work } = dependencyWork(graph);
        const limit = createLimit(atOnce);
        const other = createLimit(atOnce);
        const failures: unknown[] = [];
        let begunLate = 0;
        const note = (error: unknown): never => {
          failures.push(error);
          throw error;
        };
        const noting: typeof work = {
          ...work,
          prepare: (item) => work.prepare(item).catch(note),
          publish: (item, prepared) => {
            if (failures.length > 0) begunLate++;
            return work.publish(item, prepared).catch(note);
          },
        };
        const limits = { prepare: () => limit, publish: () => other };
        const error = await failureOf(inDependencyOrder(order, referencesOf, noting, limits));
        expect(error).toBe(failures[0]);
        expect(begunLate).toBe(0);
        expect(preparing.running() + publishing.running()).toBe(0);
        const published = [...publishing.begun];
        expect([...published, ...discarded].sort((a, b) => a - b)).toEqual([...preparing.ended].sort((a, b) => a - b));
        await wait();
        expect(publishing.begun).toEqual(published);
        if (failures.length === 0) expect(published).toHaveLength(graph.length);
      }),
    );
  });

  it('stops as after a failure once the signal is aborted', async () => {
    const interrupt = new AbortController();
    const reason = new Error('interrupted');
    const done: string[] = [];
    const work: DependencyWork<number, number> = {
      prepare: async (item) => item,
      async publish(item) {
        if (item === 1) interrupt.abort(reason);
        await setImmediate();
        done.push(`published ${item}`);
      },
      async discard(item) {
        done.push(`discarded ${item}`);
      },
    };
    const limits = { signal: interrupt.signal };
    await expect(inDependencyOrder([0, 1, 2], (item) => [item - 1], work, limits)).rejects.toBe(reason);
    expect(done).toEqual(['published 0', 'published 1', 'discarded 2']);
  });

  it('begins nothing after a failure', async () => {
    const never = () => expect.unreachable();
    const failure = new Error('the first');
    const limit = createLimit(1);
    const prepare = async (item: number) => {
      if (item === 0) throw failure;
      never();
    };
    const work = { prepare, publish: async () => never() };
    await expect(inDependencyOrder([0, 1, 2], () => [], work, { prepare: () => limit })).rejects.toBe(failure);
  });

  it('fails as a limit does that never begins', async () => {
    const failure = new Error('no turn');
    const limit = () => Promise.reject(failure);
    const work = { prepare: async () => {}, publish: async () => {} };
    await expect(inDependencyOrder(['a'], () => [], work, { prepare: () => limit })).rejects.toBe(failure);
  });

  it('refuses an order that is none, and does nothing then', async () => {
    const never = async () => expect.unreachable();
    const work = inDependencyOrder(['a', 'b'], (item) => (item === 'a' ? ['b'] : []), {
      prepare: never,
      publish: never,
    });
    await expect(work).rejects.toThrow('`a` comes before `b`, which it refers to');
  });
});
