import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PathGraph, reachableFrom, referencesIn, shortestChain, topologicalOrder } from '#lib/nix/closure.js';
import * as arbitrary from '../../support/arbitraries.js';
import { expectFormatError } from '../../support/errors.js';

const { node, nodePath } = arbitrary;

/** A graph of a drawing such as `a>b,c b>c`. */
function graphOf(drawing: string): PathGraph {
  const edges = drawing.split(' ').map((text) => text.split('>'));
  return new Map(
    edges.map(([from, to]) => {
      const references = (to ?? '').split(',').filter(Boolean).map(nodePath);
      return [nodePath(from!), node(nodePath(from!), 1, references)];
    }),
  );
}

const labels = (paths: Iterable<string>) => [...paths].map((path) => path.slice(nodePath('').length));

/** Distances from the roots by relaxing every edge as often as there are nodes. */
function naiveDistances(graph: PathGraph, roots: readonly string[]): Map<string, number> {
  const distances = new Map(roots.map((root) => [root, 0]));
  for (const _ of graph) {
    for (const [path, { references }] of graph) {
      const here = distances.get(path);
      if (here === undefined) continue;
      for (const reference of references) {
        if (graph.has(reference)) distances.set(reference, Math.min(distances.get(reference) ?? Infinity, here + 1));
      }
    }
  }
  return distances;
}

const graphAndRoots = () =>
  arbitrary
    .acyclicGraph()
    .chain((graph) => fc.record({ graph: fc.constant(graph), roots: fc.subarray([...graph.keys()]) }));

describe('the topological order', () => {
  it('has every path once, after all that it refers to', () => {
    fc.assert(
      fc.property(arbitrary.acyclicGraph(30), (graph) => {
        const order = topologicalOrder(graph).map(({ path }) => path);
        expect([...order].sort()).toEqual([...graph.keys()].sort());
        const positions = new Map(order.map((path, index) => [path, index]));
        for (const [path, { references }] of graph) {
          for (const reference of references) {
            if (reference === path || !graph.has(reference)) continue;
            expect(positions.get(reference)).toBeLessThan(positions.get(path)!);
          }
        }
      }),
    );
  });

  it('does not depend on the order in which paths and references are given', () => {
    fc.assert(
      fc.property(arbitrary.acyclicGraph(), (graph) => {
        const reversed = new Map(
          [...graph].reverse().map(([path, info]) => [path, { ...info, references: [...info.references].reverse() }]),
        );
        expect(topologicalOrder(reversed).map(({ path }) => path)).toEqual(
          topologicalOrder(graph).map(({ path }) => path),
        );
      }),
    );
  });

  it('gives the graph’s own values', () => {
    const graph = graphOf('a>b b');
    expect(topologicalOrder(graph)).toEqual([graph.get(nodePath('b')), graph.get(nodePath('a'))]);
  });

  it.each(['a>b b>a', 'a>b b>c c>a', 'x a>b b>c c>b'])('does not exist for the circle %s', (drawing) => {
    expectFormatError('refer to each other', () => topologicalOrder(graphOf(drawing)));
  });

  it('does not mind self-references and references outside the graph', () => {
    expect(topologicalOrder(graphOf('a>a,outside'))).toHaveLength(1);
  });

  it('is found for a chain longer than the call stack is deep', () => {
    const drawing = Array.from({ length: 50_000 }, (_, index) => `${index}>${index + 1}`).join(' ');
    const order = topologicalOrder(graphOf(drawing));
    expect(labels(order.map(({ path }) => path)).slice(0, 2)).toEqual(['49999', '49998']);
  });

  it('of nothing is nothing', () => {
    expect(topologicalOrder(new Map())).toEqual([]);
  });
});

describe('what is reachable', () => {
  it('is everything at any distance', () => {
    fc.assert(
      fc.property(graphAndRoots(), ({ graph, roots }) => {
        expect([...reachableFrom(graph, roots)].sort()).toEqual([...naiveDistances(graph, roots).keys()].sort());
      }),
    );
  });

  it('without a path is what a graph without it reaches', () => {
    fc.assert(
      fc.property(graphAndRoots(), fc.nat(), ({ graph, roots }, pick) => {
        const without = [...graph.keys()][pick % graph.size]!;
        const smaller = new Map([...graph].filter(([path]) => path !== without));
        const expected = reachableFrom(
          smaller,
          roots.filter((root) => root !== without),
        );
        expect([...reachableFrom(graph, roots, without)].sort()).toEqual([...expected].sort());
      }),
    );
  });

  it('has no roots that are not in the graph', () => {
    expect([...reachableFrom(graphOf('a'), [nodePath('b')])]).toEqual([]);
  });
});

describe('the references in a graph', () => {
  it('are sorted, without the path itself and those outside', () => {
    expect(labels(referencesIn(graphOf('b>d,b,a,outside a d'), nodePath('b')))).toEqual(['a', 'd']);
    expect(referencesIn(graphOf('a'), nodePath('b'))).toEqual([]);
  });
});

describe('the shortest chain', () => {
  it('leads along references, and no other is shorter', () => {
    fc.assert(
      fc.property(graphAndRoots(), fc.nat(), ({ graph, roots }, pick) => {
        const target = [...graph.keys()][pick % graph.size]!;
        const chain = shortestChain(graph, roots, target);
        const distance = naiveDistances(graph, roots).get(target);
        expect(chain?.length).toBe(distance === undefined ? undefined : distance + 1);
        if (chain === undefined) return;
        expect(roots).toContain(chain[0]);
        expect(chain.at(-1)).toBe(target);
        for (const [index, path] of chain.slice(1).entries())
          expect(graph.get(chain[index]!)!.references).toContain(path);
      }),
    );
  });

  it('to a root is the root', () => {
    expect(labels(shortestChain(graphOf('a>b b'), [nodePath('a'), nodePath('b')], nodePath('b'))!)).toEqual(['b']);
  });

  it('does not exist to what is not reached, nor from roots outside the graph', () => {
    expect(shortestChain(graphOf('a b'), [nodePath('a')], nodePath('b'))).toBeUndefined();
    expect(shortestChain(graphOf('a b'), [nodePath('x')], nodePath('x'))).toBeUndefined();
  });
});
