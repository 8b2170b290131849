/** The native module of zstd, loaded when something is compressed or read, and what to do where it is missing. */

import type zstd from 'zstd-napi/binding.js';
import { CarportError, isErrno } from '../errors.js';

/**
 * Loads zstd's native module. It is fetched or built by a script of its package, which npm does not run everywhere:
 * `E_PROGRAM` where it is not there, or is for another machine.
 */
export async function loadZstd(): Promise<typeof zstd> {
  try {
    return (await import('zstd-napi/binding.js')).default;
  } catch (cause) {
    if (!isErrno(cause, 'MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND', 'ERR_DLOPEN_FAILED')) throw cause;
    throw new CarportError('E_PROGRAM', 'the native module of zstd is missing, or is not for this machine', {
      cause,
      hint: `npm did not run its script when carport was installed: run ${MEND} where carport is installed (with \`--global\`, if it is so)`,
    });
  }
}

const MEND = '`npm rebuild --ignore-scripts=false zstd-napi`';
