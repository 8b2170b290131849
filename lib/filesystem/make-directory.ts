/** A directory and those above it. */

import { lstat, mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CarportError, isErrno } from '../errors.js';

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

/**
 * Makes a directory below one that a checkout may have brought. Throws `E_USAGE` where something else is there, such as a
 * link, which leads elsewhere: what is written and removed below it would be that of somebody else.
 */
export async function makeRealDirectory(path: string, mode = 0o777): Promise<void> {
  await mkdir(path, mode).catch((error) => {
    if (!isErrno(error, 'EEXIST')) throw error;
  });
  if ((await lstat(path)).isDirectory()) return;
  throw new CarportError('E_USAGE', `\`${path}\` is there, and is no directory`, {
    hint: 'what is written below it would go elsewhere: remove it, whoever has put it there',
  });
}

function reasonOf(error: unknown): unknown {
  return error;
}
