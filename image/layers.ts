/** Which paths of a closure share a layer: those that change together. */

import { type PathGraph, referencesIn, topologicalOrder } from '../lib/nix/closure.js';
import type { PathInfo } from '../lib/nix/path-info.js';

/** More paths are not compared with each other, but dealt out by their order. */
const MOST_COMPARED = 4096;

/**
 * The paths of a closure in at most so many layers, what is shared most first, and what refers to others after those.
 *
 * A path changes when anything in its closure does, since its name is made of theirs. So a layer changes with each path that
 * its paths need, and two layers are put together where that adds least: paths that a change of only one of them would
 * send for nothing, weighed by how likely it is: what many build upon changes rarely. The roots change most, and share no layer
 * with what they need. Sizes do not count, and names count without their hashes: after a build of one package
 * the same paths are together as before.
 */
export function layersOf(graph: PathGraph, roots: readonly string[], atMost: number): readonly (readonly PathInfo[])[] {
  const order = topologicalOrder(graph);
  if (order.length > MOST_COMPARED) return dealt(order, new Set(roots), atMost);
  const reach = reachOf(graph, order);
  const dependents = countDependents(reach, order.length);
  // What nobody else needs was named, is what is being worked on, and changes with everything.
  const isTop = (index: number) => dependents[index] === 1;
  const shared = sharedFirst(graph, order, dependents);
  const paths = [...shared.filter((index) => !isTop(index)), ...shared.filter(isTop)];
  const weights = dependents.map((count) => 1 / count);
  const layers = paths.map((index): Group => ({ members: [index], needs: reach[index]!, isTop: isTop(index) }));
  mergeNeighbours(layers, weights, atMost);
  return layers.map(({ members }) => members.map((index) => order[index]!));
}

/** Indices of paths, and what they need, as bits. */
interface Group {
  readonly members: readonly number[];
  readonly needs: Uint32Array;
  /** Nobody else needs them. */
  readonly isTop: boolean;
}

/** For each path of the order the paths of its closure, itself among them, as bits. */
function reachOf(graph: PathGraph, order: readonly PathInfo[]): readonly Uint32Array[] {
  const words = Math.ceil(order.length / 32);
  const indexOf = new Map(order.map(({ path }, index) => [path, index]));
  const reach: Uint32Array[] = [];
  for (const [index, { path }] of order.entries()) {
    const bits = new Uint32Array(words);
    bits[index >>> 5]! |= 1 << (index & 31);
    for (const reference of referencesIn(graph, path)) {
      const theirs = reach[indexOf.get(reference)!]!;
      for (let word = 0; word < words; word++) bits[word]! |= theirs[word]!;
    }
    reach.push(bits);
  }
  return reach;
}

/** How many paths need each, itself among them. */
function countDependents(reach: readonly Uint32Array[], paths: number): readonly number[] {
  const counts = new Array<number>(paths).fill(0);
  for (const bits of reach) for (const index of indicesIn(bits)) counts[index]!++;
  return counts;
}

function* indicesIn(bits: Uint32Array): Generator<number> {
  for (let word = 0; word < bits.length; word++) {
    for (let rest = bits[word]!; rest !== 0; rest &= rest - 1) yield word * 32 + 31 - Math.clz32(rest & -rest);
  }
}

/** Indices in an order that has each path after what it needs, as near to that as can be, and what many need first. */
function sharedFirst(graph: PathGraph, order: readonly PathInfo[], dependents: readonly number[]): readonly number[] {
  const indexOf = new Map(order.map(({ path }, index) => [path, index]));
  const rank = new Map(
    order
      .map(({ path }, index) => ({ index, path, name: nameOf(path) }))
      .sort((a, b) => dependents[b.index]! - dependents[a.index]! || compare(a.name, b.name) || compare(a.path, b.path))
      .map(({ index }, at) => [index, at]),
  );
  const byRank = (indices: readonly number[]) => [...indices].sort((a, b) => rank.get(b)! - rank.get(a)!);
  const needed = (index: number) => referencesIn(graph, order[index]!.path).map((path) => indexOf.get(path)!);
  const [done, result] = [new Set<number>(), [] as number[]];
  // An explicit stack: a chain of references may be longer than the call stack is deep. The last is taken first.
  const stack = byRank([...order.keys()]).map((index) => ({ index, isOpen: false }));
  while (stack.length > 0) {
    const { index, isOpen } = stack.pop()!;
    if (done.has(index)) continue;
    if (isOpen) {
      done.add(index);
      result.push(index);
    } else {
      stack.push({ index, isOpen: true });
      for (const reference of byRank(needed(index)))
        if (!done.has(reference)) stack.push({ index: reference, isOpen: false });
    }
  }
  return result;
}

/** The name of a store path, without its hash. */
function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1).replace(/^[^-]*-/, '');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Puts neighbours together, those first of which it costs least. */
function mergeNeighbours(layers: Group[], weights: readonly number[], atMost: number): void {
  const costs = layers.slice(1).map((layer, index) => costOf(layers[index]!, layer, weights));
  while (layers.length > Math.max(1, atMost)) {
    const at = costs.indexOf(costs.reduce((least, cost) => Math.min(least, cost)));
    const [one, other] = [layers[at]!, layers[at + 1]!];
    const needs = one.needs.map((word, index) => word | other.needs[index]!);
    layers.splice(at, 2, { members: [...one.members, ...other.members], needs, isTop: other.isTop });
    costs.splice(at, 1);
    if (at > 0) costs[at - 1] = costOf(layers[at - 1]!, layers[at]!, weights);
    if (at < costs.length) costs[at] = costOf(layers[at]!, layers[at + 1]!, weights);
  }
}

/** Paths that would be sent for nothing, by how likely the changes are of which only one of two layers has something. */
function costOf(one: Group, other: Group, weights: readonly number[]): number {
  if (one.isTop !== other.isTop) return Number.POSITIVE_INFINITY;
  let [onlyOne, onlyOther] = [0, 0];
  for (const index of indicesIn(one.needs.map((word, at) => word & ~other.needs[at]!))) onlyOne += weights[index]!;
  for (const index of indicesIn(other.needs.map((word, at) => word & ~one.needs[at]!))) onlyOther += weights[index]!;
  return onlyOne * other.members.length + onlyOther * one.members.length;
}

/** The same number of paths for each layer, and the roots in the last. */
function dealt(
  order: readonly PathInfo[],
  roots: ReadonlySet<string>,
  atMost: number,
): readonly (readonly PathInfo[])[] {
  const last = order.filter(({ path }) => roots.has(path));
  const others = atMost > 1 ? order.filter(({ path }) => !roots.has(path)) : [];
  const each = Math.ceil(others.length / Math.max(1, atMost - 1));
  const layers = Array.from({ length: Math.ceil(others.length / each) || 0 }, (_, at) =>
    others.slice(at * each, (at + 1) * each),
  );
  return [...layers, atMost > 1 ? last : order];
}
