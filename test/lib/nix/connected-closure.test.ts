import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PathGraph, reachableFrom, topologicalOrder } from '#lib/nix/closure.js';
import { connectClosure } from '#lib/nix/connected-closure.js';
import { acyclicGraph, node, nodePath } from '../../support/arbitraries.js';

describe('a connected closure', () => {
  it('has every path of the closure within reach, and no path beside', () => {
    const derivers = fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 8 });
    fc.assert(
      fc.property(acyclicGraph(14), fc.array(fc.nat(), { maxLength: 3 }), derivers, (plain, picks, made) => {
        const paths = [...plain.keys()];
        const pathAt = (pick: number) => paths[pick % paths.length]!;
        const graph = new Map(plain);
        for (const [by, what] of made) {
          graph.set(pathAt(what), { ...graph.get(pathAt(what))!, deriver: pathAt(by) });
        }
        const roots = [...new Set(picks.map(pathAt))];
        const connected = connectClosure(graph, roots);
        expect([...connected.graph.keys()]).toEqual(paths);
        expect(connected.roots.slice(0, roots.length)).toEqual(roots);
        expect(reachableFrom(connected.graph, connected.roots).size).toBe(paths.length);
        expect(topologicalOrder(connected.graph)).toHaveLength(paths.length);
      }),
      { numRuns: 300 },
    );
  });

  it('leads from a derivation to its outputs, and begins at the named ones', () => {
    const [out, doc, drv] = [nodePath('out'), nodePath('doc'), nodePath('drv')];
    const graph: PathGraph = new Map([
      [out, { ...node(out, 1, []), deriver: drv }],
      [doc, { ...node(doc, 2, []), deriver: drv }],
      [drv, node(drv, 4, [])],
    ]);
    const connected = connectClosure(graph, [out, nodePath('left-out')]);
    expect(connected.roots).toEqual([out, drv]);
    expect([...connected.graph.get(drv)!.references].sort()).toEqual([doc, out].sort());
  });

  it('leaves a closure as it is that its roots reach', () => {
    const [a, b] = [nodePath('a'), nodePath('b')];
    const graph: PathGraph = new Map([
      [a, { ...node(a, 1, [b]), deriver: b }],
      [b, node(b, 1, [])],
    ]);
    expect(connectClosure(graph, [a])).toEqual({ graph, roots: [a] });
  });
});
