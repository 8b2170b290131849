/** Whether anything is at a path, and what. */

import { lstat, readdir } from 'node:fs/promises';
import { isErrno } from '../errors.js';

/** The names in a directory, sorted; none when it is not there. */
export async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

/** Whether something is there, a link to nothing included. When that cannot be told, it is. */
export async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    return !isErrno(error, 'ENOENT', 'ENOTDIR');
  }
}
