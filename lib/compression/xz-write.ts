import { execa } from 'execa';
import { CarportError, isErrno } from '../errors.js';

/**
 * Compresses a file with the `xz` program into another. One thread: the bytes then depend on the level and the version
 * of xz only.
 */
export async function compressFileXz(from: string, to: string, level: number): Promise<void> {
  const args = ['--compress', '--stdout', '--threads=1', `-${level}`];
  try {
    await execa('xz', args, { stdin: { file: from }, stdout: { file: to }, buffer: false });
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
