/** A closure as one graph that its roots reach whole, as trees, chains and sizes need it. */

import { type PathGraph, reachableFrom, topologicalOrder } from './closure.js';

/** A closure and where it begins. */
export interface ConnectedClosure {
  readonly graph: PathGraph;
  readonly roots: readonly string[];
}

/**
 * A closure in which every path is reached. In that of a build a derivation leads to its outputs here, as no reference
 * does, and what `roots` do not reach then, such as their own derivations, is reached from further roots: the uppermost of
 * the rest, after those that were given. Roots that are not in the graph are left out. The paths stay the same.
 */
export function connectClosure(graph: PathGraph, roots: readonly string[]): ConnectedClosure {
  const given = roots.filter((root) => graph.has(root));
  if (reachableFrom(graph, given).size === graph.size) return { graph, roots: given };
  const connected = withOutputs(graph);
  const reached = reachableFrom(connected, given);
  const rest = new Map([...connected].filter(([path]) => !reached.has(path)));
  // Referrers come last in that order: each that is not reached yet is one of the uppermost.
  const further: string[] = [];
  const found = new Set<string>();
  for (const { path } of topologicalOrder(rest).toReversed()) {
    if (found.has(path)) continue;
    further.push(path);
    for (const below of reachableFrom(rest, [path])) found.add(below);
  }
  return { graph: connected, roots: [...given, ...further] };
}

/** The graph with a reference from each derivation to its outputs; as it is where one of these refers back. */
function withOutputs(graph: PathGraph): PathGraph {
  const outputs = new Map<string, string[]>();
  for (const { path, deriver } of graph.values()) {
    if (deriver !== undefined && graph.has(deriver)) outputs.set(deriver, [...(outputs.get(deriver) ?? []), path]);
  }
  const connected = new Map(
    [...graph].map(([path, info]) => {
      const own = outputs.get(path);
      return [path, own ? { ...info, references: [...new Set([...info.references, ...own])] } : info];
    }),
  );
  try {
    topologicalOrder(connected);
    return connected;
  } catch {
    return graph;
  }
}
