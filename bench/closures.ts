/** The closures that are moved. */

import { randomFillSync } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

/** A closure in the system's Nix store. */
export interface BenchClosure {
  readonly title: string;
  readonly root: string;
}

const MIB = 1024 * 1024;

/** A toolchain: 1.3 GB in 6 paths, one of them of 1 GB; a third of it does not compress. */
export function buildToolchain(directory: string): Promise<BenchClosure> {
  return build(directory, 'toolchain', 5, async (path, index) => {
    const size = index === 0 ? 1000 * MIB : 75 * MIB;
    await mkdir(path, { recursive: true });
    for (let at = 0; at < size; at += 25 * MIB) await writeFile(join(path, `lib${at / MIB}.so`), mixture(25 * MIB, at));
  });
}

/** 2,001 paths, of 17 KB each but the root. */
export function buildMany(directory: string): Promise<BenchClosure> {
  return build(directory, 'many', 2000, async (path, index) => {
    await mkdir(path, { recursive: true });
    await writeFile(join(path, 'data'), mixture(17 * 1024, index));
  });
}

/** Sources of one derivation, which refers to all of them: Nix adds them without a build each. */
async function build(
  directory: string,
  name: string,
  number: number,
  fill: (path: string, index: number) => Promise<void>,
): Promise<BenchClosure> {
  const names = Array.from({ length: number }, (_, index) => `${name}-${index}`);
  for (const [index, each] of names.entries()) await fill(join(directory, name, each), index);
  const sources = names.map((each) => `"\${./${name}/${each}}"`).join('\n');
  const expression = `derivation {
    name = "bench-${name}"; system = builtins.currentSystem; builder = "/bin/sh";
    args = [ "-c" "echo $sources > $out" ];
    sources = [ ${sources} ];
  }`;
  const file = join(directory, `${name}.nix`);
  await writeFile(file, expression);
  const { stdout } = await execa('nix-build', [file, '--out-link', join(directory, `${name}-link`)]);
  return { title: name, root: stdout.trim() };
}

/** Bytes of which two thirds compress well. */
function mixture(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size, `entry ${seed} of a table of strings, as libraries hold them\n`);
  randomFillSync(bytes, 0, Math.floor(size / 3));
  return bytes;
}
