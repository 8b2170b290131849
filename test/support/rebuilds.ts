/** Closures of a mass rebuild: the same content under other hash parts, with what makes that hard. */

import { createHash } from 'node:crypto';
import { encodeNix32 } from '#lib/nix/base32.js';
import { hashBytes } from '#lib/nix/hash.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import type { OwnStore } from '#lib/store/own/own-store.js';
import type { WorkerPool } from '#lib/workers/pool.js';
import { directoryOf, fileOf, linkTo, noise, writeTree } from './files.js';
import { naiveNar, type Tree } from './nar.js';
import { writerOf } from './own-store.js';

/** One build of a closure: another number gives all paths other hash parts. */
export interface Build {
  readonly number: number;
  /** Two references stand where the other one stood. */
  readonly swapped?: boolean;
  /** One is not there any more. */
  readonly gone?: boolean;
  /** Some bytes of the large path are others. */
  readonly patched?: boolean;
  /** A hash part of it stands where another build has zeros, and zeros where that has the hash part. */
  readonly moved?: boolean;
  /** All bytes of it are. */
  readonly unrelated?: boolean;
}

const NAMES = ['base-1', 'lib', 'lib-extra', 'large-2.0', 'names', 'root'] as const;
type Name = (typeof NAMES)[number];

/** A path whose name does not come of its content, as that of a derivation's output. */
export function pathOf(name: Name, { number }: Build): string {
  const digest = createHash('sha256').update(`${name} ${number}`).digest().subarray(0, 20);
  return `/nix/store/${encodeNix32(digest)}-${name}`;
}

/** Makes a build in a store, references first; gives its root. */
export async function makeBuild(store: OwnStore, pool: WorkerPool, build: Build): Promise<string> {
  const writer = await writerOf(store, pool);
  const trees = treesOf(build);
  for (const name of NAMES) {
    const nar = naiveNar(trees[name].tree);
    const references = trees[name].references.map((each) => pathOf(each, build)).sort();
    const narHash = hashBytes('sha256', nar);
    const temporary = writer.temporaryName();
    writeTree(temporary, trees[name].tree);
    await writer.place(temporary, {
      path: pathOf(name, build),
      narHash,
      narSize: nar.length,
      references,
      signatures: [],
    });
  }
  return pathOf('root', build);
}

function treesOf(build: Build): Readonly<Record<Name, { readonly tree: Tree; readonly references: readonly Name[] }>> {
  const path = (name: Name) => pathOf(name, build);
  const part = (name: Name) => hashPartOf(path(name));
  const [first, second] = build.swapped ? [path('lib'), path('base-1')] : [path('base-1'), path('lib')];
  const extra = build.gone ? 'x'.repeat(path('lib-extra').length) : path('lib-extra');
  const data = { version: fileOf(`build ${build.number}`), data: fileOf(noise(20_000, 'base')) };
  // Hash parts that follow each other at once, or begin within another one, and a text that is the beginning of another.
  const knotted = [path('lib'), part('base-1'), part('lib'), part('base-1').slice(0, 31), part('lib'), '-extra'].join(
    '',
  );
  return {
    'base-1': { tree: directoryOf(data), references: [] },
    lib: { tree: fileOf(`${path('base-1')} and ${path('lib')}${part('base-1')}`), references: ['base-1', 'lib'] },
    'lib-extra': { tree: fileOf(knotted), references: ['base-1', 'lib'] },
    'large-2.0': {
      tree: directoryOf({
        bin: directoryOf({ run: fileOf(`#!${first}/sh ${second} ${extra}`, true) }),
        data: fileOf(largeContent(build)),
        link: linkTo(`${path('large-2.0')}/data`),
      }),
      references: ['base-1', 'lib', 'large-2.0', ...(build.gone ? [] : (['lib-extra'] as const))],
    },
    // Their order is that of hash parts.
    names: {
      tree: directoryOf({
        [`${part('base-1')}-a`]: fileOf('a'),
        [`${part('lib')}-b`]: linkTo(path('lib')),
        [`x-${part('large-2.0')}`]: fileOf(noise(3000, 'names')),
      }),
      references: ['base-1', 'lib', 'large-2.0'],
    },
    root: { tree: fileOf(NAMES.slice(0, 5).map(path).join(' ')), references: NAMES.slice(0, 5) },
  };
}

const LARGE = 7 * 1024 * 1024;

/** Some chunks, with hash parts so near to each other that some stand where a chunk ends. */
function largeContent(build: Build): Buffer {
  const bytes = noise(LARGE, build.unrelated ? `large ${build.number}` : 'large');
  const own = Buffer.from(hashPartOf(pathOf('large-2.0', build)));
  const base = Buffer.from(hashPartOf(pathOf('base-1', build)));
  // Around the largest chunk's end there is one after another.
  for (let at = 0; at + 32 <= LARGE; at += 4099) own.copy(bytes, at);
  for (let at = 2 * 1024 * 1024 - 1024; at < 2 * 1024 * 1024; at += 32) base.copy(bytes, at);
  bytes.fill(0, 500, 532).fill(0, 1000, 1032);
  base.copy(bytes, build.moved ? 1000 : 500);
  if (build.patched) bytes.fill('patched', 3_000_000, 3_000_100);
  return bytes;
}
