/** Own size, closure size, added size. */

import { type PathGraph, reachableFrom, referencesIn, topologicalOrder } from './closure.js';

export interface PathSizes {
  readonly path: string;
  /** Bytes of its own NAR. */
  readonly own: number;
  /** Bytes of the NARs in its closure. */
  readonly closure: number;
  /** Bytes that the roots' closure would lose without it: its own, and those that are reached only through it. */
  readonly added: number;
}

/** The sizes of every path in the closure of `roots`, in topological order. */
export function closureSizes(graph: PathGraph, roots: Iterable<string>): readonly PathSizes[] {
  const given = [...roots];
  const whole = reachableFrom(graph, given);
  const closureGraph = new Map([...graph].filter(([path]) => whole.has(path)));
  const order = topologicalOrder(closureGraph);
  const idOf = new Map(order.map(({ path }, id) => [path, id]));
  const references = order.map(({ path }) => referencesIn(closureGraph, path).map((reference) => idOf.get(reference)!));
  const own = order.map(({ narSize }) => narSize);
  const closure = sizesOfClosures(references, own);
  const added = sizesOfDominated(references, own, new Set(given.flatMap((root) => idOf.get(root) ?? [])));
  return order.map(({ path }, id) => ({ path, own: own[id]!, closure: closure[id]!, added: added[id]! }));
}

function sizesOfClosures(references: readonly (readonly number[])[], own: readonly number[]): readonly number[] {
  const seenBy = new Int32Array(own.length).fill(-1);
  return own.map((_, root) => {
    const queue = [root];
    seenBy[root] = root;
    let size = 0;
    for (const id of queue) {
      size += own[id]!;
      for (const reference of references[id]!) {
        if (seenBy[reference] === root) continue;
        seenBy[reference] = root;
        queue.push(reference);
      }
    }
    return size;
  });
}

/**
 * Sums over the dominator tree. In a graph without circles one pass suffices, referrers before references: a path is
 * dominated by the nearest common dominator of its referrers. Ids are in topological order; -1 stands above the roots.
 */
function sizesOfDominated(
  references: readonly (readonly number[])[],
  own: readonly number[],
  roots: ReadonlySet<number>,
): readonly number[] {
  const TOP = -1;
  const dominator = new Map<number, number>();
  // A dominator is a referrer, so its id is the larger one.
  const above = (id: number) => dominator.get(id) ?? TOP;
  const common = (a: number, b: number): number => {
    while (a !== b) {
      if (a === TOP || b === TOP) return TOP;
      if (a < b) a = above(a);
      else b = above(b);
    }
    return a;
  };
  for (let id = own.length - 1; id >= 0; id--) {
    if (roots.has(id)) dominator.set(id, TOP);
    for (const reference of references[id]!) {
      const known = dominator.get(reference);
      dominator.set(reference, known === undefined ? id : common(known, id));
    }
  }
  const sums = [...own];
  for (let id = 0; id < own.length; id++) {
    if (above(id) !== TOP) sums[above(id)]! += sums[id]!;
  }
  return sums;
}
