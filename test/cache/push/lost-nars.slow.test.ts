import { describe, expect, it } from 'vitest';
import { planPush } from '#cache/push/plan.js';
import { CarportError } from '#lib/errors.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { type ListStore, LOCAL_TRAITS, type ObjectStore } from '#lib/object-store/object-store.js';
import { fakeGraph, recordingStore } from '../../support/recording-store.js';
import { sampleKey } from '../../support/samples.js';

const [KEY, NEW] = [sampleKey('test-1'), sampleKey('new-1', 2)];

const statOf = (size: number) => ({ size, modified: undefined, etag: undefined });
const bodyOf = (size: number) => ({ size, bytes: async function* () {}, discard: () => undefined });

describe('a push into a cache that has lost NARs', () => {
  const request = (graph: ReadonlyMap<string, PathInfo>) => ({
    ...{ graph, keys: [KEY], checkAll: false, skipSignedBy: [], hasCache: true },
  });
  const narOf = ({ path }: PathInfo) => `nar/${hashPartOf(path)}.nar`;
  /** Has each path and its NAR, but for these NARs, or with these sizes. */
  const cacheOf = (graph: ReadonlyMap<string, PathInfo>, sizes: ReadonlyMap<string, number | undefined>) => {
    const { objects, calls } = recordingStore([...graph.values()], KEY);
    const stat = async (key: string) => {
      const there = await objects.stat(key);
      const size = sizes.has(key) ? sizes.get(key) : there?.size;
      return size === undefined ? undefined : statOf(size);
    };
    const spoilt: ObjectStore & ListStore = {
      ...objects,
      stat,
      open: async (key) => {
        const there = await stat(key);
        return there && bodyOf(there.size);
      },
      async *list(options) {
        for await (const object of objects.list(options)) {
          const there = sizes.has(object.key) ? sizes.get(object.key) : object.size;
          if (there !== undefined) yield { ...object, size: there };
        }
      },
    };
    return { objects: spoilt, calls };
  };
  const pathsOf = (infos: readonly PathInfo[]) => infos.map(({ path }) => path);

  it.each([
    ['is gone', undefined],
    ['is empty', 0],
    ['is cut off', 99],
  ])('sends that of a root again which %s', async (_, size) => {
    const graph = fakeGraph(300);
    const root = [...graph.values()].at(-1)!;
    const { objects } = cacheOf(graph, new Map([[narOf(root), size]]));
    const plan = await planPush(objects, request(graph));
    expect([pathsOf(plan.upload), plan.damaged]).toEqual([[root.path], [root.path]]);
  });

  /** The same in a directory of this machine. */
  const inDirectory = (objects: ObjectStore): ObjectStore => ({ ...objects, traits: LOCAL_TRAITS });

  it.each([1, 2, 32])('sends whatever is gone of %i paths in a directory', async (count) => {
    const graph = fakeGraph(count);
    for (const lost of graph.values()) {
      const { objects } = cacheOf(graph, new Map([[narOf(lost), undefined]]));
      const plan = await planPush(inDirectory(objects), request(graph));
      expect([pathsOf(plan.upload), plan.damaged]).toEqual([[lost.path], [lost.path]]);
    }
  });

  it.each([32, 33])('says and does the same of %i paths when nothing is gone', async (count) => {
    // Dependencies that the key has not signed, or that have other content: a root that it has signed vouches for them.
    const graph = fakeGraph(count);
    const root = [...graph.values()].at(-1)!;
    const others = recordingStore([...graph.values()], NEW).objects;
    const { objects: signed } = recordingStore([root], KEY);
    const objects: ObjectStore = {
      ...others,
      read: async (key, limit) => (await signed.read(key, limit)) ?? (await others.read(key, limit)),
    };
    for (const each of [objects, inDirectory(objects)]) {
      const plan = await planPush(each, request(graph));
      expect([plan.upload, plan.sign, plan.different, plan.damaged]).toEqual([[], [], [], []]);
    }
  });

  it('looks for those below a root that is gone, too', async () => {
    const graph = fakeGraph(300);
    const gone = new Map([...graph.values()].map((info) => [narOf(info), undefined]));
    const { objects } = cacheOf(graph, gone);
    expect((await planPush(objects, request(graph))).damaged.length).toBe(300);
    const below = [...graph.values()].slice(-3);
    const some = cacheOf(graph, new Map(below.map((info) => [narOf(info), undefined]))).objects;
    expect((await planPush(some, request(graph))).damaged).toEqual(pathsOf(below));
  });

  it('keeps the signatures of what it sends again', async () => {
    const graph = fakeGraph(1);
    const [root] = graph.values();
    const { objects } = cacheOf(graph, new Map([[narOf(root!), undefined]]));
    const plan = await planPush(objects, { ...request(graph), keys: [NEW] });
    expect(plan.upload[0]!.signatures).toEqual([expect.stringMatching(/^test-1:/)]);
    expect(plan.sign).toEqual([]);
  });

  it.each([1, 12, 32, 33, 300])('asks a server for one more than the root, of %i paths', async (count) => {
    const graph = fakeGraph(count);
    const { objects, calls } = cacheOf(graph, new Map());
    expect((await planPush(objects, request(graph))).upload).toEqual([]);
    expect([calls.reads.length, calls.sizes.length, calls.lists]).toEqual([1, 1, 0]);
  });

  it('asks beside the narinfos that it reads', async () => {
    const graph = fakeGraph(5);
    const infos = [...graph.values()];
    const { objects } = recordingStore(infos, NEW);
    const order: string[] = [];
    const kinds = (key: string) => key.replace(/^[^.]*/, '');
    const slow: ObjectStore = {
      ...objects,
      read: async (key, limit) => {
        order.push(kinds(key));
        return objects.read(key, limit);
      },
      stat: async (key) => {
        await new Promise((resolve) => setTimeout(resolve, 50));
        order.push(kinds(key));
        return objects.stat(key);
      },
    };
    // Nothing that our key has signed: the level below is asked for before the root's NAR is known to be there.
    await planPush(slow, request(graph));
    expect(order).toEqual([...Array(5).fill('.narinfo'), '.nar']);
  });

  it('looks only for the NARs of the roots', async () => {
    const graph = fakeGraph(300);
    const below = [...graph.values()].slice(0, -1);
    const { objects, calls } = cacheOf(graph, new Map(below.map((info) => [narOf(info), undefined])));
    const plan = await planPush(objects, request(graph));
    expect([plan.upload, plan.damaged]).toEqual([[], []]);
    expect([calls.reads.length, calls.sizes.length, calls.lists]).toEqual([1, 1, 0]);
    expect((await planPush(objects, { ...request(graph), checkAll: true })).damaged.length).toBe(below.length);
  });

  describe('of many paths of which none needs another', () => {
    const graph = new Map([...fakeGraph(300)].map(([path, info]) => [path, { ...info, references: [] }]));
    const [lost] = graph.values();

    it('lists them', async () => {
      const { objects, calls } = cacheOf(graph, new Map([[narOf(lost!), undefined]]));
      expect((await planPush(objects, request(graph))).damaged).toEqual([lost!.path]);
      expect(calls.lists).toBe(1);
      // The one that the listing lacks.
      expect(calls.sizes.filter((key) => key === narOf(lost!)).length).toBeGreaterThan(0);
      expect(new Set(calls.sizes).size).toBe(1);
    });

    it.each([2, 12, 99])('begins no listing for %i', async (count) => {
      const few = new Map([...graph].slice(0, count));
      const { objects, calls } = cacheOf(few, new Map());
      expect((await planPush(objects, request(few))).upload).toEqual([]);
      expect([calls.reads.length, calls.sizes.length, calls.lists]).toEqual([count, Math.min(count, 32), 0]);
    });

    it('asks for some of them where they cannot be listed', async () => {
      const { objects, calls } = cacheOf(graph, new Map());
      const { list: _, ...web } = objects;
      expect((await planPush(web, request(graph))).damaged).toEqual([]);
      expect([calls.reads.length, calls.sizes.length]).toEqual([300, 32]);
    });
  });

  it('takes no answer that does not tell for a lost NAR', async () => {
    const graph = fakeGraph(3);
    const { objects } = recordingStore([...graph.values()], KEY);
    for (const size of [
      // No length; no HEAD; another answer to HEAD than to GET.
      async () => Number.NaN,
      async () => Promise.reject(new CarportError('E_REMOTE', 'no HEAD')),
      async () => Promise.reject(new CarportError('E_CREDENTIALS', 'no HEAD for you')),
      async () => 0,
      async () => undefined,
    ]) {
      const stat = async () => {
        const told = await size();
        return told === undefined ? undefined : statOf(told);
      };
      const plan = await planPush({ ...objects, stat, open: async () => bodyOf(100) }, request(graph));
      expect([plan.upload, plan.damaged]).toEqual([[], []]);
    }
    const stat = async () => Promise.reject(new CarportError('E_UNAVAILABLE', 'gone'));
    await expect(planPush({ ...objects, stat }, request(graph))).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
  });
});
