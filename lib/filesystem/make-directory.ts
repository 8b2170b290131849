/** A directory and those above it. */

import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isErrno } from '../errors.js';

/**
 * Makes a directory and those above it. Node's own `recursive` never ends where the file system says that there is no
 * such directory although there is, as `/proc` does.
 */
export async function makeDirectory(path: string, mode = 0o777): Promise<void> {
  const parent = dirname(path);
  const make = () => mkdir(path, mode).then(() => undefined, reasonOf);
  let failure = await make();
  if (isErrno(failure, 'ENOENT') && parent !== path) {
    if (!(await stat(parent).catch(() => undefined))) await makeDirectory(parent, mode);
    // Somebody else may have made the parent in the meantime.
    failure = await make();
  }
  if (failure !== undefined && !isErrno(failure, 'EEXIST')) throw failure;
}

function reasonOf(error: unknown): unknown {
  return error;
}
