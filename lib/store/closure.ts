/** What a closure is; runtime closures. */

import { CarportError } from '../errors.js';
import type { PathGraph } from '../nix/closure.js';
import type { Store } from './store.js';
import { missingReferences } from './walk-references.js';

/** What a pin of a pushed closure stands for; each path once, in the order in which it was named. */
export interface Pinned {
  /** What is pulled and run. */
  readonly storePaths: readonly string[];
  /** Derivations whose build closure it is: what is needed to build them again. */
  readonly derivations: readonly string[];
}

export interface Closure {
  readonly graph: PathGraph;
  readonly pinned: Pinned;
}

/** Everything that `roots` refer to, directly or not (`nix-store -qR`). Throws when a path is not valid here. */
export async function runtimeClosure(store: Store, roots: readonly string[]): Promise<Closure> {
  const graph = checkClosure(store, await store.queryClosure(roots), roots);
  return { graph, pinned: { storePaths: [...new Set(roots)], derivations: [] } };
}

/** `roots` alone, of which the closure must be valid all the same. */
export async function noClosure(store: Store, roots: readonly string[]): Promise<Closure> {
  const closure = await runtimeClosure(store, roots);
  return { ...closure, graph: new Map(roots.map((root) => [root, closure.graph.get(root)!])) };
}

/** Gives the graph; throws unless `roots` are in it, and with each path those that it refers to. */
export function checkClosure(store: Store, graph: PathGraph, roots: readonly string[]): PathGraph {
  checkValid(store, graph, roots);
  const [missing] = missingReferences(graph);
  if (missing === undefined) return graph;
  throw new CarportError('E_NOT_FOUND', `\`${missing.path}\` is not valid in ${store.description}`, {
    cause: new Error(`\`${missing.referrer}\` refers to it`),
    hint: 'the store is not complete: pull or add the missing path',
  });
}

/** Throws unless all of `paths` are in the graph. */
export function checkValid(store: Store, graph: PathGraph, paths: readonly string[]): void {
  const missing = paths.find((path) => !graph.has(path));
  if (missing === undefined) return;
  throw new CarportError('E_NOT_FOUND', `\`${missing}\` is not valid in ${store.description}`, {
    hint: 'build it, pull it, or add it with `carport store add`; `--store ROOT` names another store',
  });
}
