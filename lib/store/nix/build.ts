/** Has Nix evaluate and build. */

import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { CarportError } from '../../errors.js';
import { checkValid } from '../closure.js';
import { readDerivation } from '../realisations.js';
import type { Store } from '../store.js';
import { makeNixRoot } from './import.js';
import { runNix } from './program.js';

export interface NixBuild {
  readonly env: NodeJS.ProcessEnv;
  /** A directory for links that keep what is made from Nix's garbage collector, while they are there. */
  readonly roots: string;
  readonly signal: AbortSignal;
  /** Takes what Nix says on the way. */
  onStderr(text: string): void;
}

/** Evaluates a file to derivations: those of attributes, or of all that it has. */
export async function instantiate(
  file: string,
  attributes: readonly string[],
  build: NixBuild,
): Promise<readonly string[]> {
  const link = join(build.roots, `drv-${++links}`);
  const selected = attributes.flatMap((attribute) => ['-A', attribute]);
  const hint = `try it by hand: \`${['nix-instantiate', file, ...selected].join(' ')}\``;
  // A name that begins with `-` would be an option.
  const args = [file.startsWith('-') ? `./${file}` : file, ...selected, '--add-root', link, '--indirect'];
  const lines = await run('nix-instantiate', args, hint, build);
  // An attribute that is one output of several: `…!dev`.
  return Promise.all(lines.map((line) => readlink(link + line.slice(link.length).replace(/!.*/, ''))));
}

/** Each link of this process has a name of its own. */
let links = 0;

/** Evaluates outputs of flakes (`flake#attribute`) to derivations. */
export async function instantiateFlakes(references: readonly string[], build: NixBuild): Promise<readonly string[]> {
  const hint = `try it by hand: \`nix path-info --derivation ${references.join(' ')}\``;
  const flags = ['--derivation', '--extra-experimental-features', 'nix-command flakes'];
  const derivations = await run('nix', ['path-info', ...flags, '--', ...references], hint, build);
  await keepDerivations(derivations, build);
  return derivations;
}

/** Keeps derivations, also those of which nothing is built: a build may take longer than the next garbage collection. */
export async function keepDerivations(derivations: readonly string[], build: NixBuild): Promise<void> {
  for (const derivation of derivations) {
    build.signal.throwIfAborted();
    await makeNixRoot(derivation, join(build.roots, `drv-${++links}`), build.env);
  }
}

/** What of derivations to build, or to fetch: `inputs` is the outputs that their builds use directly. */
export interface RealiseOptions {
  readonly what: 'inputs' | 'inputs-and-outputs';
  /** Only says what would be done. */
  readonly dryRun: boolean;
}

/** Has Nix build what is not valid yet. */
export async function realise(
  store: Store,
  derivations: readonly string[],
  { what, dryRun }: RealiseOptions,
  build: NixBuild,
): Promise<void> {
  const wanted = new Set(await inputsOf(store, derivations));
  // The outputs may be there without the inputs, which a build needs all the same.
  if (what === 'inputs-and-outputs') for (const derivation of derivations) wanted.add(derivation);
  if (wanted.size === 0) return;
  const flags = dryRun ? ['--dry-run'] : ['--add-root', join(build.roots, `out-${++links}`), '--indirect'];
  const hint = dryRun ? 'see above' : 'what its builder said is above; `nix log DERIVATION` shows all of it';
  await run('nix-store', ['--realise', ...flags, '--', ...wanted], hint, build);
}

/** The inputs of derivations, as Nix names them: `…drv!out,dev`. */
async function inputsOf(store: Store, derivations: readonly string[]): Promise<readonly string[]> {
  const infos = await store.queryInfos(derivations);
  checkValid(store, infos, derivations);
  const read = await Promise.all(derivations.map((path) => readDerivation(store, infos.get(path)!)));
  return read.flatMap(({ inputDerivations }) =>
    [...inputDerivations].map(([path, outputs]) => `${path}!${outputs.join(',')}`),
  );
}

/** Runs a program of Nix; what it printed, line by line. */
async function run(
  program: 'nix' | 'nix-store' | 'nix-instantiate',
  args: readonly string[],
  hint: string,
  { env, signal, onStderr }: NixBuild,
): Promise<readonly string[]> {
  const output = await runNix(program, args, env, { signal, hint, onStderr });
  if (output !== undefined) return output.split('\n').filter((line) => line !== '');
  throw new CarportError('E_PROGRAM', `this needs Nix: the program \`${program}\` is not on PATH`, {
    hint: 'install Nix (https://nixos.org/download), or run it where Nix is',
  });
}
