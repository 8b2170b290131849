/** Breadth first, one query a level; stores and caches use it. */

import type { PathGraph } from '../nix/closure.js';
import type { PathInfo } from '../nix/path-info.js';

/** Looks up what is known of paths; those that are not there are left out. */
export type QueryInfos<T extends PathInfo> = (paths: readonly string[]) => Promise<ReadonlyMap<string, T>>;

/** Everything that `roots` reach, breadth first, one query a level. Paths that are not there are left out. */
export async function walkReferences<T extends PathInfo>(
  roots: readonly string[],
  query: QueryInfos<T>,
): Promise<ReadonlyMap<string, T>> {
  const graph = new Map<string, T>();
  const asked = new Set(roots);
  for (let level: readonly string[] = [...asked]; level.length > 0; ) {
    const next: string[] = [];
    for (const [path, info] of await query(level)) {
      graph.set(path, info);
      for (const reference of info.references) {
        if (asked.has(reference)) continue;
        asked.add(reference);
        next.push(reference);
      }
    }
    level = next;
  }
  return graph;
}

/** References of a graph's paths that are not in it: the graph is a closure when there are none. */
export function missingReferences(graph: PathGraph): readonly { readonly path: string; readonly referrer: string }[] {
  return [...graph.values()].flatMap(({ path: referrer, references }) =>
    references.filter((path) => !graph.has(path)).map((path) => ({ path, referrer })),
  );
}
