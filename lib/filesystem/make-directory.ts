import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isErrno } from '../errors.js';

/**
 * Makes a directory and those above it. Node's own `recursive` never ends where the file system says that there is no
 * such directory although there is, as `/proc` does.
 */
export async function makeDirectory(path: string, mode = 0o777): Promise<void> {
  try {
    await mkdir(path, mode);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return;
    const parent = dirname(path);
    const parentIsThere = await stat(parent).catch(() => undefined);
    if (!isErrno(error, 'ENOENT') || parent === path || parentIsThere) throw error;
    await makeDirectory(parent, mode);
    await makeDirectory(path, mode);
  }
}
