import { describe, expect, it } from 'vitest';
import { layersOf } from '#image/layers.js';
import type { PathInfo } from '#lib/nix/path-info.js';

const HASH = { algorithm: 'sha256' as const, digest: new Uint8Array(32) };

/** Paths by their names and what they refer to; `build` is a part of each hash. */
function graphOf(references: Readonly<Record<string, readonly string[]>>, rebuilt: readonly string[] = []) {
  const changed = (name: string): boolean => rebuilt.includes(name) || references[name]!.some(changed);
  const pathOf = (name: string) => `/nix/store/${(changed(name) ? 'z' : 'a').repeat(32)}-${name}`;
  const info = (name: string): PathInfo => ({
    ...{ path: pathOf(name), narHash: HASH, narSize: 1, signatures: [] },
    references: references[name]!.map(pathOf),
  });
  const graph = new Map(Object.keys(references).map((name) => [pathOf(name), info(name)]));
  const layers = (root: string, atMost: number) =>
    layersOf(graph, [pathOf(root)], atMost).map((layer) => layer.map(({ path }) => path.slice(44)));
  const paths = (root: string, atMost: number) =>
    layersOf(graph, [pathOf(root)], atMost).map((layer) => layer.map(({ path }) => path).join(' '));
  return { layers, paths };
}

const APP = {
  libc: [],
  zlib: ['libc'],
  ssl: ['libc', 'zlib'],
  curl: ['ssl', 'zlib', 'libc'],
  git: ['curl', 'libc'],
  data: [],
  app: ['git', 'data', 'curl'],
};

describe('layers of a closure', () => {
  it('are one for each path where there is room, what is shared most first', () => {
    const layers = graphOf(APP).layers('app', 100);
    expect(layers.every((layer) => layer.length === 1)).toBe(true);
    expect(layers.flat()).toEqual(['libc', 'zlib', 'ssl', 'curl', 'data', 'git', 'app']);
  });

  it.each([2, 3, 4, 6])('leave the root a layer of its own where there are %i', (atMost) => {
    const layers = graphOf(APP).layers('app', atMost);
    expect(layers).toHaveLength(atMost);
    expect(layers.at(-1)).toEqual(['app']);
    expect(layers.flat().sort()).toEqual(Object.keys(APP).sort());
    expect(layers[0]).toContain('libc');
  });

  it('are one where only one is allowed', () => {
    expect(graphOf(APP).layers('app', 1)).toHaveLength(1);
  });

  it.each([2, 3, 4, 7])('change only where something has changed, with %i of them', (atMost) => {
    const before = graphOf(APP).paths('app', atMost);
    const appAgain = graphOf(APP, ['app']).paths('app', atMost);
    expect(appAgain.filter((layer) => !before.includes(layer))).toHaveLength(1);
    const dataAgain = graphOf(APP, ['data']).paths('app', atMost);
    expect(dataAgain.filter((layer) => !before.includes(layer)).length).toBeLessThanOrEqual(2);
  });

  it('do not depend on the order in which paths are known', () => {
    const turned = Object.fromEntries(Object.entries(APP).reverse());
    expect(graphOf(turned).paths('app', 4)).toEqual(graphOf(APP).paths('app', 4));
  });

  it.each([300, 5000])('of %i paths are as many as are allowed, and hold each path once', (count) => {
    const names = Array.from({ length: count }, (_, index) => `p${index}`);
    const many = Object.fromEntries(names.map((name, index) => [name, index === 0 ? [] : [names[index >> 1]!]]));
    const root = { ...many, root: names.slice(-count / 2) };
    const layers = graphOf2(root).layers;
    expect(layers.length).toBeLessThanOrEqual(50);
    expect(layers.at(-1)).toEqual(['root']);
    expect(new Set(layers.flat()).size).toBe(count + 1);
    expect(layers.flat()).toHaveLength(count + 1);
  });
});

/** Without what has changed, which takes long to find out of many. */
function graphOf2(references: Readonly<Record<string, readonly string[]>>) {
  const pathOf = (name: string) => `/nix/store/${'a'.repeat(32)}-${name}`;
  const graph = new Map(
    Object.entries(references).map(([name, needs]): [string, PathInfo] => [
      pathOf(name),
      { path: pathOf(name), narHash: HASH, narSize: 1, signatures: [], references: needs.map(pathOf) },
    ]),
  );
  return { layers: layersOf(graph, [pathOf('root')], 50).map((layer) => layer.map(({ path }) => path.slice(44))) };
}
