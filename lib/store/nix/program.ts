/** Runs programs of Nix. */

import { delimiter, join } from 'node:path';
import { CarportError } from '../../errors.js';
import { homeDirectory } from '../../home-directory.js';
import { type ProgramResult, type RunOptions, runProgram } from '../../process/run.js';

/** Lets commands of `nix` (not `nix-store`) be used where the user has not allowed them. */
export const NIX_COMMAND = ['--extra-experimental-features', 'nix-command'] as const;

/** Paths for one command line: Linux takes 2 MiB of arguments. */
export const PATHS_A_CALL = 4000;

/** Characters of output that are taken: of very large closures Nix prints much. */
const OUTPUT_LIMIT = 1024 * 1024 * 1024;

export interface NixOptions extends Pick<RunOptions, 'signal' | 'onStderr'> {
  readonly hint?: string;
}

const HINT = 'carport asks Nix about its store; check that `nix path-info` works by hand';

/**
 * Runs a program of Nix; its output, or `undefined` when it is not on PATH. `signal` ends it. That it failed is
 * `E_PROGRAM`, with a `ProgramFailure` as the cause. `onStderr` takes what it says as it comes.
 */
export async function runNix(
  program: 'nix' | 'nix-store' | 'nix-instantiate',
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  { hint = HINT, ...options }: NixOptions = {},
): Promise<string | undefined> {
  const { stdout, failure } = await startNix(program, args, env, options);
  if (failure === undefined) return stdout;
  if (failure.reason === 'not-found') return undefined;
  const verb = args.find((arg) => /^[a-z]/.test(arg) && arg !== 'nix-command') ?? args[0];
  throw new CarportError('E_PROGRAM', `\`${program} ${verb}\` failed`, { cause: failure, hint });
}

/** Runs a program of Nix. That it fails is part of the result. */
export function startNix(
  program: 'nix' | 'nix-store' | 'nix-instantiate',
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  options: Omit<NixOptions, 'hint'> = {},
): Promise<ProgramResult> {
  return runProgram(program, args, { ...options, env: withPlacesOfNix(env), outputLimit: OUTPUT_LIMIT });
}

/** What `sudo`, cron and hooks leave out of PATH: where installers of Nix put its programs, last. */
export function withPlacesOfNix(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const places = [
    join(homeDirectory(env), '.nix-profile/bin'),
    '/nix/var/nix/profiles/default/bin',
    '/run/current-system/sw/bin',
  ];
  const path = (env.PATH ?? '') === '' ? [] : [env.PATH!];
  return { ...env, PATH: [...path, ...places].join(delimiter) };
}
