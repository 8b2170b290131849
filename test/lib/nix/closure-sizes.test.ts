import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PathGraph, reachableFrom } from '#lib/nix/closure.js';
import { closureSizes } from '#lib/nix/closure-sizes.js';
import { acyclicGraph, node, nodePath } from '../../support/arbitraries.js';

/** The definitions, each path on its own: what it reaches, and what the roots no longer reach without it. */
function naiveSizes(graph: PathGraph, roots: readonly string[]) {
  const sum = (paths: Iterable<string>) => [...paths].reduce((size, path) => size + graph.get(path)!.narSize, 0);
  const whole = reachableFrom(graph, roots);
  return [...whole].sort().map((path) => ({
    path,
    own: graph.get(path)!.narSize,
    closure: sum(reachableFrom(graph, [path])),
    added: sum(whole) - sum(reachableFrom(graph, roots, path)),
  }));
}

const byPath = (a: { path: string }, b: { path: string }) => (a.path < b.path ? -1 : 1);

describe('the sizes of a closure', () => {
  it('are those of their definitions, also in a graph of more than the closure', () => {
    fc.assert(
      fc.property(acyclicGraph(14), fc.array(fc.nat(), { maxLength: 4 }), (graph, picks) => {
        const roots = [...new Set(picks.map((pick) => [...graph.keys()][pick % graph.size]!))];
        expect([...closureSizes(graph, roots)].sort(byPath)).toEqual(naiveSizes(graph, roots));
      }),
      { numRuns: 500 },
    );
  });

  it('come in topological order', () => {
    const [a, b, c] = [nodePath('a'), nodePath('b'), nodePath('c')];
    const graph = new Map([
      [a, node(a, 1, [b, c])],
      [b, node(b, 2, [c])],
      [c, node(c, 4, [c])],
    ]);
    expect(closureSizes(graph, [a])).toEqual([
      { path: c, own: 4, closure: 4, added: 4 },
      { path: b, own: 2, closure: 6, added: 2 },
      { path: a, own: 1, closure: 7, added: 7 },
    ]);
  });

  it('do not blame a path for what only paths outside the closure share', () => {
    const [root, outsider, shared] = [nodePath('root'), nodePath('outsider'), nodePath('shared')];
    const graph = new Map([
      [root, node(root, 1, [shared])],
      [outsider, node(outsider, 2, [shared])],
      [shared, node(shared, 4, [])],
    ]);
    expect(closureSizes(graph, [root]).map(({ path, added }) => [path, added])).toEqual([
      [shared, 4],
      [root, 5],
    ]);
  });

  it('ignore roots that are not in the graph', () => {
    expect(closureSizes(new Map(), [nodePath('x')])).toEqual([]);
  });
});
