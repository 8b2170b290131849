/** The closures that are moved: built by Nix of files that are on this machine, once. */

import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fastGlob from 'fast-glob';
import type { World } from './world.js';

/** A closure in the store that both sides read. */
export interface BenchClosure {
  readonly root: string;
  readonly paths: number;
  /** Bytes of all its NARs. */
  readonly narSize: number;
}

export type ClosureName = 'toolchain' | 'patched' | 'many' | 'one';

export type Closures = Readonly<Record<ClosureName, BenchClosure>>;

const MIB = 1024 * 1024;
const MANY = 2000;
const MANY_SIZE = 17 * 1024;
/** Where programs and libraries are. */
const SOURCES = ['/usr/lib', '/usr/bin', '/usr/share'];

/** Fills a directory with what becomes one store path. */
type Fill = (path: string, index: number) => Promise<void>;

/**
 * `toolchain`: 6 paths, 1.26 GB, one of them 1.0 GB. `patched`: the same with a small change in each fortieth file.
 * `many`: 2,001 paths of 17 KB in two files each. `one`: a path of them without references.
 */
export async function buildClosures(world: World): Promise<Closures> {
  let listed: Promise<readonly SourceFile[]> | undefined;
  const files = () => {
    listed ??= listFiles();
    return listed;
  };
  const large: Fill = async (path, index) =>
    index === 0 ? fillFrom(await files(), path, 0, 1000) : fillFrom(await files(), path, 1000 + index * 52, 52);
  const toolchain = await build(world, 'toolchain', 5, large);
  const patched = await build(world, 'patched', 5, async (path, index) => {
    await large(path, index);
    await patch(path);
  });
  const many = await build(world, 'many', MANY, async (path, index) => {
    const bytes = await readPart(await files(), index * MANY_SIZE * 3, MANY_SIZE);
    await writeFile(join(path, 'data'), bytes.subarray(0, MANY_SIZE - 3000));
    await writeFile(join(path, 'more'), bytes.subarray(MANY_SIZE - 3000));
  });
  const references = await world.run({ argv: ['nix-store', '-q', '--references', many.root] });
  const one = await describe(world, references.split('\n')[0]!);
  return { toolchain, patched, many, one };
}

/** Sources of one derivation, which refers to all of them: Nix adds them without a build each. */
async function build(world: World, name: string, paths: number, fill: Fill): Promise<BenchClosure> {
  const link = `/nix/bench-${name}`;
  const known = await world.run({ argv: ['readlink', link] }).catch(() => '');
  const isThere = known !== '' && (await world.run({ argv: ['nix-store', '-q', known] }).catch(() => '')) !== '';
  if (isThere) return describe(world, known);
  console.error(`building the closure \`${name}\``);
  const directory = join(world.directory, name);
  const names = Array.from({ length: paths }, (_, index) => `${name}-${index}`);
  for (const [index, each] of names.entries()) {
    await mkdir(join(directory, each), { recursive: true });
    await fill(join(directory, each), index);
  }
  const file = join(directory, 'default.nix');
  await writeFile(file, expressionOf(name, names));
  const root = (await world.run({ argv: ['nix-build', file, '--out-link', link] })).trim();
  await rm(directory, { recursive: true });
  return describe(world, root);
}

function expressionOf(name: string, names: readonly string[]): string {
  return `derivation {
    name = "bench-${name}"; system = builtins.currentSystem; builder = "/bin/sh";
    args = [ "-c" "read -r line < $sourcesPath; echo $line > $out" ];
    passAsFile = [ "sources" ];
    sources = toString [ ${names.map((each) => `"\${./${each}}"`).join('\n')} ];
  }`;
}

async function describe(world: World, root: string): Promise<BenchClosure> {
  const paths = (await world.run({ argv: ['nix-store', '-qR', root] })).split('\n');
  const size = await world.run({ argv: ['nix', 'path-info', '-S', root] });
  return { root, paths: paths.length, narSize: Number(size.trim().split(/\s+/)[1]) };
}

interface SourceFile {
  readonly path: string;
  readonly size: number;
}

/** Plain files of this machine, in an order that does not change. */
async function listFiles(): Promise<readonly SourceFile[]> {
  const patterns = SOURCES.map((directory) => `${directory}/**`);
  const options = { absolute: true, followSymbolicLinks: false, suppressErrors: true } as const;
  const found = await fastGlob(patterns, { ...options, onlyFiles: true, stats: true });
  return found
    .map(({ path, stats }) => ({ path, size: stats?.size ?? 0 }))
    .filter(({ size }) => size > 0 && size < 256 * MIB)
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Writes so many MiB of the files of this machine from an offset on, in files of 4 MiB. */
async function fillFrom(pool: readonly SourceFile[], path: string, offset: number, size: number): Promise<void> {
  for (let at = 0; at < size; at += 4) {
    await writeFile(join(path, `part-${at}`), await readPart(pool, (offset + at) * MIB, Math.min(4, size - at) * MIB));
  }
}

/** Bytes of the files of this machine, one after another, and from the first again where they end. */
async function readPart(pool: readonly SourceFile[], offset: number, size: number): Promise<Buffer> {
  const total = pool.reduce((sum, file) => sum + file.size, 0);
  const bytes = Buffer.alloc(size);
  let skip = offset % total;
  let filled = 0;
  for (let index = 0; filled < size; index = (index + 1) % pool.length) {
    const file = pool[index]!;
    if (skip >= file.size) {
      skip -= file.size;
      continue;
    }
    filled += await readAt(file.path, bytes.subarray(filled), skip);
    skip = 0;
  }
  return bytes;
}

async function readAt(path: string, into: Buffer, position: number): Promise<number> {
  const file = await open(path);
  try {
    return (await file.read(into, 0, into.length, position)).bytesRead;
  } finally {
    await file.close();
  }
}

/** Changes some bytes in the midst of each fortieth file, and makes it longer. */
async function patch(path: string): Promise<void> {
  const files = await fastGlob('part-*', { cwd: path, absolute: true });
  for (const file of files.sort().filter((_, index) => index % 40 === 0)) {
    const bytes = await readFile(file);
    const middle = Math.floor(bytes.length / 2);
    await writeFile(file, Buffer.concat([bytes.subarray(0, middle), randomBytes(100), bytes.subarray(middle)]));
  }
}
