/** Runs programs of Nix. */

import { CarportError, isErrno } from '../../errors.js';

/** Lets commands of `nix` (not `nix-store`) be used where the user has not allowed them. */
export const NIX_COMMAND = ['--extra-experimental-features', 'nix-command'] as const;

/** Paths for one command line: Linux takes 2 MiB of arguments. */
export const PATHS_A_CALL = 4000;

/** How a program of Nix failed. */
export class NixFailure extends Error {
  /** All that it wrote to stderr. */
  readonly stderr: string;

  constructor(stderr: string, fallback: string) {
    super(stderr.trim().split('\n').slice(-5).join('\n') || fallback);
    this.stderr = stderr;
  }
}

/**
 * Runs a program of Nix; its output, or `undefined` when it is not on PATH. `signal` ends it. That it failed is
 * `E_PROGRAM`, with a `NixFailure` as the cause. `onStderr` takes what it says as it comes; of that the failure has the
 * end only.
 */
export async function runNix(
  program: 'nix' | 'nix-store' | 'nix-instantiate',
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  options: { readonly signal?: AbortSignal; readonly hint?: string; onStderr?(text: string): void } = {},
): Promise<string | undefined> {
  const {
    signal,
    onStderr,
    hint = 'carport asks Nix about its store; check that `nix path-info` works by hand',
  } = options;
  const { execa } = await import('execa');
  let end = '';
  try {
    const running = execa(program, args, {
      ...{ env, extendEnv: false, stdin: 'ignore', maxBuffer: 1024 * 1024 * 1024 },
      ...(signal && { cancelSignal: signal }),
      ...(onStderr && { buffer: { stderr: false } }),
    });
    if (onStderr) {
      running.stderr.setEncoding('utf8').on('data', (text: string) => {
        end = (end + text).slice(-STDERR_KEPT);
        onStderr(text);
      });
    }
    return (await running).stdout;
  } catch (cause) {
    if (isErrno(cause, 'ENOENT')) return undefined;
    signal?.throwIfAborted();
    const verb = args.find((arg) => /^[a-z]/.test(arg) && arg !== 'nix-command') ?? args[0];
    throw new CarportError('E_PROGRAM', `\`${program} ${verb}\` failed`, { cause: failureOf(cause, end), hint });
  }
}

/** Characters of what builds said that are kept. */
const STDERR_KEPT = 64 * 1024;

function failureOf(error: unknown, end: string): NixFailure {
  const stderr = end || (error instanceof Error && 'stderr' in error ? String(error.stderr ?? '') : '');
  return new NixFailure(stderr, error instanceof Error ? error.message : String(error));
}
