import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Matched, PlannedNar } from '#cache/delta/nars.js';
import { planPaths } from '#cache/delta/plan.js';
import type { FoundPath } from '#cache/find-path.js';
import { tellChunks } from '#lib/compression/chunks/field.js';
import { openMemoryStore } from '#lib/object-store/memory.js';

const { key } = tellChunks([]).field;
const objects = openMemoryStore(new Map());

/** A path of so many bytes, whose table is in its narinfo or costs a request. */
const pathOf = (name: string, fileSize: number, table: 'free' | 'costly' = 'free'): FoundPath => ({
  info: {
    ...{ path: `/nix/store/${'1'.repeat(32)}-${name}`, narHash: { algorithm: 'sha256', digest: Buffer.alloc(32) } },
    ...{ narSize: 2 * fileSize, fileSize, references: [], signatures: [], url: `nar/${name}`, compression: 'zstd' },
    unknownFields: [{ key, value: table === 'free' ? '2:AAAA' : '2@0+10' }],
  },
  objects,
});

/** Looks that end when they are told to, and what is decided of them. */
function createLooks(late: readonly FoundPath[] = [], begun: readonly FoundPath[] = []) {
  const looked: string[] = [];
  const ends = new Map<string, (isHere: boolean) => void>();
  const nameOf = ({ info }: FoundPath) => info.url.slice('nar/'.length);
  const narOf = (found: FoundPath) => ({ found, fetchSize: 1, hereSize: 10 }) as unknown as PlannedNar;
  const waiting: Matched[] = [];
  const planning = {
    look: (found: FoundPath) => {
      looked.push(nameOf(found));
      return new Promise<Matched>((resolve) => {
        ends.set(nameOf(found), (isHere) => {
          const references = { count: 0, runs: new Uint8Array() };
          const parts = [isHere ? { size: 1, from: { tree: 0, offset: 0, references } } : { size: 1 }];
          resolve({ found, rows: [], cutting: 3, trees: [], parts, isBegun: begun.includes(found) });
        });
      });
    },
    isBegun: (found: FoundPath) => begun.includes(found),
    decisions: {
      decide: (match: Matched) => {
        if (!match.parts.some(({ from }) => from)) return undefined;
        if (!late.includes(match.found)) return narOf(match.found);
        waiting.push(match);
        return 'later' as const;
      },
      rest: () => new Map(waiting.map((match) => [match, narOf(match.found)])),
    },
    tables: { asked: () => ({ count: 0, bytes: 7 }) },
    sentParts: new WeakMap<object, boolean>(),
    signal: new AbortController().signal,
  };
  const end = async (name: string, isHere = true): Promise<void> => {
    await turn();
    ends.get(name)!(isHere);
    await turn();
  };
  return { planning, looked, end };
}

/** Those of which is known by now how they are made. */
async function known(plan: ReturnType<typeof planPaths>, paths: readonly FoundPath[]): Promise<readonly FoundPath[]> {
  const answered: FoundPath[] = [];
  for (const path of paths) void plan.of(path).then(() => answered.push(path));
  await turn();
  return paths.filter((path) => answered.includes(path));
}

describe('a plan', () => {
  it('tells of a path as soon as it was looked at, those first that cost most, and of all at the end', async () => {
    const [small, large, other] = [pathOf('small', 10), pathOf('large', 1000), pathOf('other', 5)];
    const { planning, looked, end } = createLooks();
    const plan = planPaths([small, large, other], [small, large], planning);
    expect(await known(plan, [small, large, other])).toEqual([other]);
    expect(looked).toEqual(['large', 'small']);
    await end('large');
    expect(await known(plan, [small, large])).toEqual([large]);
    await end('small', false);
    expect(await plan.totals).toEqual({ fetchSize: 10 + 1 + 5, hereSize: 10 });
    expect(await plan.of(small)).toBeUndefined();
    expect(await plan.of(large)).toMatchObject({ found: large });
    // What the same cache says by now is perhaps another build.
    expect(await plan.of({ ...large, info: { ...large.info } })).toBeUndefined();
  });

  it('has those wait for all that share what requests the others leave', async () => {
    const [many, one] = [pathOf('many', 1000), pathOf('one', 10)];
    const { planning, end } = createLooks([many]);
    const plan = planPaths([many, one], [many, one], planning);
    await end('many');
    expect(await known(plan, [many, one])).toEqual([]);
    await end('one');
    expect(await plan.of(many)).toMatchObject({ found: many });
  });

  it('asks for tables when something is here of another path, and not when nothing is', async () => {
    const free = ['a', 'b', 'c', 'd'].map((name) => pathOf(name, 10));
    const costly = pathOf('costly', 1000, 'costly');
    for (const isHere of [true, false]) {
      const { planning, looked, end } = createLooks();
      const plan = planPaths([...free, costly], [...free, costly], planning);
      await end('a', isHere);
      expect(looked.includes('costly')).toBe(isHere);
      for (const name of ['b', 'c', 'd']) await end(name, false);
      if (isHere) await end('costly');
      expect((await plan.of(costly)) !== undefined).toBe(isHere);
    }
  });

  it('asks for the table of what an earlier run has begun, which says nothing of the others', async () => {
    const free = ['a', 'b', 'c', 'd'].map((name) => pathOf(name, 10));
    const [begun, costly] = [pathOf('begun', 1000, 'costly'), pathOf('costly', 1000, 'costly')];
    const { planning, looked, end } = createLooks([], [begun]);
    const plan = planPaths([...free, begun, costly], [...free, begun, costly], planning);
    await end('begun');
    for (const name of ['a', 'b', 'c', 'd']) await end(name, false);
    expect(await plan.of(begun)).toMatchObject({ found: begun });
    expect(await plan.of(costly)).toBeUndefined();
    expect(looked).not.toContain('costly');
  });

  it('fails at once where it is stopped, whatever is still looked at', async () => {
    const path = pathOf('tool', 10);
    const { planning } = createLooks();
    const stopping = new AbortController();
    const plan = planPaths([path], [path], { ...planning, signal: stopping.signal });
    stopping.abort(new Error('the disk is full'));
    await expect(plan.of(path)).rejects.toThrow('the disk is full');
    await expect(plan.totals).rejects.toThrow('the disk is full');
  });
});
