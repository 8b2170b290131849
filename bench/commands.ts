/** The command lines of both sides, and whether they have done what they should. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import fastGlob from 'fast-glob';
import type { BenchClosure } from './closures.js';
import type { Side, Stored } from './job.js';
import { type Command, carport, type World } from './world.js';

/** A key to sign with, and what it is trusted as. */
export interface BenchKey {
  readonly file: string;
  readonly publicKey: string;
}

/** Makes the key of this run, or gives the one that it has. */
export async function benchKey(world: World): Promise<BenchKey> {
  const file = join(world.directory, 'bench.sec');
  const publicKey = await world
    .run(carport(['key', 'public', file]))
    .catch(() => world.run(carport(['key', 'generate', 'bench-1', '--out', file])));
  return { file, publicKey: publicKey.trim() };
}

/** carport pushes from Nix's store. */
export function carportPush(
  root: string,
  to: string,
  key: BenchKey,
  env: Readonly<Record<string, string>> = {},
): Command {
  return carport(['push', root, '--to', to, '--secret-key', key.file, '--store', 'nix'], env);
}

/** Nix copies to files, as its own documentation says for a cache. */
export function nixPush(root: string, directory: string, key: BenchKey): Command {
  return { argv: ['nix', 'copy', root, '--to', `file://${directory}?compression=zstd&secret-key=${key.file}`] };
}

/** carport pulls into a new store of its own. */
export function carportPull({ root, paths }: BenchClosure, from: string, key: BenchKey): Side {
  return {
    commands: (directory) => [
      carport(['pull', root, '--no-delta', '--from', from, '--trusted-key', key.publicKey, '--store', directory]),
    ],
    check: (directory) => requirePaths(directory, paths),
  };
}

/** Nix pulls into a new store below a root of its own. */
export function nixPull({ root, paths }: BenchClosure, from: string, key: BenchKey): Side {
  const trusted = ['--option', 'trusted-public-keys', key.publicKey];
  // Substitution fetches more at a time, but is slower than a copy where nothing has to be waited for.
  const commandOf = (directory: string) =>
    from.startsWith('file:')
      ? ['nix', 'copy', root, '--from', from, '--to', directory, ...trusted]
      : [
          ...['nix-store', '--store', directory, '-r', root, '-j16', '--option', 'http-connections', '100'],
          ...['--option', 'substituters', from, ...trusted],
        ];
  return {
    // Else it knows from the last run what the cache has.
    commands: (directory) => [{ argv: commandOf(directory), env: { XDG_CACHE_HOME: join(directory, 'cache') } }],
    check: (directory) => requirePaths(directory, paths),
  };
}

/** Throws unless a store has so many paths. */
async function requirePaths(directory: string, wanted: number): Promise<Stored> {
  const names = (await readdir(join(directory, 'nix/store'))).filter((name) => /^[0-9a-z]{32}-/.test(name));
  const paths = names.filter((name) => !name.endsWith('.lock'));
  if (paths.length !== wanted) throw new Error(`${paths.length} of ${wanted} paths were pulled`);
  return { objects: paths.length, bytes: 0 };
}

/** Throws unless a cache in a directory has so many narinfos; counts what is in it. */
export async function requireNarInfos(directory: string, wanted: number): Promise<Stored> {
  const files = await fastGlob('**', { cwd: directory, stats: true });
  const narInfos = files.filter(({ path }) => path.endsWith('.narinfo')).length;
  if (narInfos !== wanted) throw new Error(`${narInfos} of ${wanted} paths were pushed`);
  return { objects: files.length, bytes: files.reduce((sum, { stats }) => sum + (stats?.size ?? 0), 0) };
}
