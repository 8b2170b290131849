/** Graphs of paths: order, reach, chains. */

import { formatError } from '../errors.js';
import type { PathInfo } from './path-info.js';

/** A set of paths by store path. A closure when every reference is in it. */
export type PathGraph = ReadonlyMap<string, PathInfo>;

/**
 * The paths in an order that has every path after those it refers to; within that, by path. Self-references and
 * references outside the graph do not count. Throws when paths refer to each other in a circle.
 */
export function topologicalOrder(graph: PathGraph): readonly PathInfo[] {
  const order: PathInfo[] = [];
  const state = new Map<string, 'open' | 'done'>();
  const roots = [...graph.keys()].sort();
  // An explicit stack: a chain of references may be longer than the call stack is deep.
  for (const root of roots) {
    const stack = [{ path: root, next: 0, references: referencesIn(graph, root) }];
    if (state.has(root)) continue;
    state.set(root, 'open');
    while (stack.length > 0) {
      const frame = stack.at(-1)!;
      const reference = frame.references[frame.next++];
      if (reference === undefined) {
        state.set(frame.path, 'done');
        order.push(graph.get(frame.path)!);
        stack.pop();
      } else if (state.get(reference) === 'open') {
        throw formatError('closure', `\`${reference}\` and \`${frame.path}\` refer to each other`);
      } else if (!state.has(reference)) {
        state.set(reference, 'open');
        stack.push({ path: reference, next: 0, references: referencesIn(graph, reference) });
      }
    }
  }
  return order;
}

/** The references of a path that are in the graph, without itself, sorted. */
export function referencesIn(graph: PathGraph, path: string): readonly string[] {
  const references = graph.get(path)?.references ?? [];
  return references.filter((reference) => reference !== path && graph.has(reference)).sort();
}

/** Every path of the graph that one of `roots` reaches, roots included. */
export function reachableFrom(graph: PathGraph, roots: Iterable<string>, without?: string): ReadonlySet<string> {
  const seen = new Set([...roots].filter((root) => graph.has(root) && root !== without));
  for (const path of seen) {
    for (const reference of referencesIn(graph, path)) if (reference !== without) seen.add(reference);
  }
  return seen;
}

/** The shortest chain of references from a root to `target`, both included; `undefined` when there is none. */
export function shortestChain(
  graph: PathGraph,
  roots: Iterable<string>,
  target: string,
): readonly string[] | undefined {
  const cameFrom = new Map<string, string | undefined>();
  for (const root of roots) if (graph.has(root)) cameFrom.set(root, undefined);
  for (const path of cameFrom.keys()) {
    if (path === target) break;
    for (const reference of referencesIn(graph, path)) {
      if (!cameFrom.has(reference)) cameFrom.set(reference, path);
    }
  }
  if (!cameFrom.has(target)) return undefined;
  const chain: string[] = [];
  for (let path: string | undefined = target; path !== undefined; path = cameFrom.get(path)) chain.unshift(path);
  return chain;
}
