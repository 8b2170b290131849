/** Compresses with the program `xz`. */

import { CarportError } from '../../errors.js';
import { type RunOptions, runProgram } from '../../process/run.js';

/** Throws unless the `xz` program can be run: it is better said before the work than in the middle of it. */
export async function requireXz(): Promise<void> {
  await runXz(['--version']);
}

/**
 * Compresses a file with the `xz` program into another. One thread: the bytes then depend on the level and the version
 * of xz only.
 */
export async function compressFileXz(from: string, to: string, level: number): Promise<void> {
  const args = ['--compress', '--stdout', '--threads=1', `-${level}`];
  await runXz(args, { inputFile: from, outputFile: to });
}

async function runXz(args: readonly string[], options?: RunOptions): Promise<void> {
  const { failure } = await runProgram('xz', args, options);
  if (failure?.reason === 'not-found') {
    throw new CarportError('E_PROGRAM', 'compression `xz` needs the program `xz`, which is not on PATH', {
      hint: 'install xz (Debian: xz-utils), or use `--compression zstd`',
    });
  }
  if (failure) throw new CarportError('E_PROGRAM', '`xz` failed', { cause: failure });
}
