/** Several stores as one. */

import type { PathGraph } from '../nix/closure.js';
import type { PathInfo } from '../nix/path-info.js';
import type { Store } from './store.js';
import { missingReferences } from './walk-references.js';

/** Several stores of one store dir as one: each path is taken from the first that has it. */
export function uniteStores(stores: readonly [Store, ...Store[]]): Store {
  const [first] = stores;
  const origins = new Map<string, Store>();
  const note = (store: Store, graph: PathGraph, into: Map<string, PathInfo>): void => {
    for (const [path, info] of graph) {
      if (into.has(path)) continue;
      into.set(path, info);
      if (!origins.has(path)) origins.set(path, store);
    }
  };
  const gather = async (paths: readonly string[], query: 'queryInfos' | 'queryClosure'): Promise<PathGraph> => {
    const graph = new Map<string, PathInfo>();
    let missing = paths;
    let failure: { readonly error: unknown } | undefined;
    for (const store of stores) {
      if (missing.length === 0) break;
      try {
        note(store, await store[query](missing), graph);
      } catch (error) {
        failure ??= { error };
      }
      missing = paths.filter((path) => !graph.has(path));
    }
    // A store that cannot be asked matters when the others do not have it all.
    if (failure && missing.length > 0) throw failure.error;
    return graph;
  };
  return {
    storeDir: first.storeDir,
    realStoreDirs: stores.flatMap((store) => store.realStoreDirs),
    description: stores.map(({ description }) => description).join(' and '),
    queryInfos: (paths) => gather(paths, 'queryInfos'),
    async queryClosure(paths) {
      const graph = new Map(await gather(paths, 'queryClosure'));
      // A path of one store may refer to paths of another.
      for (;;) {
        const missing = [...new Set(missingReferences(graph).map(({ path }) => path))];
        const more = missing.length > 0 ? await gather(missing, 'queryClosure') : new Map<string, PathInfo>();
        if (more.size === 0) return graph;
        for (const [path, info] of more) graph.set(path, info);
      }
    },
    async queryHashParts() {
      const parts = await Promise.allSettled(stores.map((store) => store.queryHashParts()));
      const good = parts.filter((result) => result.status === 'fulfilled').map(({ value }) => value);
      return new Map(good.reverse().flatMap((map) => [...map]));
    },
    realPath: (info) => (origins.get(info.path) ?? first).realPath(info),
    async queryRealisations(ids) {
      const answers = await Promise.all(stores.map((store) => store.queryRealisations?.(ids) ?? []));
      return answers.flat();
    },
  };
}
