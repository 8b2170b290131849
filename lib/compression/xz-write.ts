/** Compresses with the program `xz`. */

import { execa, type Options } from 'execa';
import { CarportError, isErrno } from '../errors.js';

/** Throws unless the `xz` program can be run: it is better said before the work than in the middle of it. */
export async function requireXz(): Promise<void> {
  await runXz(['--version'], {});
}

/**
 * Compresses a file with the `xz` program into another. One thread: the bytes then depend on the level and the version
 * of xz only.
 */
export async function compressFileXz(from: string, to: string, level: number): Promise<void> {
  const args = ['--compress', '--stdout', '--threads=1', `-${level}`];
  await runXz(args, { stdin: { file: from }, stdout: { file: to }, buffer: false });
}

async function runXz(args: readonly string[], options: Options): Promise<void> {
  try {
    await execa('xz', args, options);
  } catch (cause) {
    if (isErrno(cause, 'ENOENT') && isSpawn(cause.cause)) {
      throw new CarportError('E_PROGRAM', 'compression `xz` needs the program `xz`, which is not on PATH', {
        hint: 'install xz (Debian: xz-utils), or use `--compression zstd`',
      });
    }
    throw new CarportError('E_PROGRAM', '`xz` failed', { cause });
  }
}

/** A file that is not there is `ENOENT`, too. */
function isSpawn(error: unknown): boolean {
  return isErrno(error, 'ENOENT') && error.syscall?.startsWith('spawn') === true;
}
