/** A directory of this process in a place that others share. */

import { lstat, mkdir, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../errors.js';
import { createTemporaryNames, removeLeftovers, removeTree } from './temporary.js';

/** A directory of this process, which others can neither look into nor replace. */
export interface PrivateDirectory {
  readonly path: string;
  remove(): Promise<void>;
}

/** Another process may remove the directory above while it is empty. */
const ATTEMPTS = 20;

/** How root is shown in a user namespace that does not know it. */
const OVERFLOW_UID = 65534;

/**
 * Makes a directory in a place that may be shared, such as `/tmp`: in one that is this user's alone, where leftovers are
 * removed first. In a shared directory that would be dangerous: anybody could put something there and exchange it.
 */
export async function makePrivateDirectory(place: string): Promise<PrivateDirectory> {
  for (let attempt = 1; ; attempt++) {
    const parent = await ownDirectory(place);
    try {
      return await makeIn(parent ?? place, parent);
    } catch (error) {
      if (parent === undefined || attempt === ATTEMPTS || !isErrno(error, 'ENOENT')) throw error;
    }
  }
}

async function makeIn(directory: string, parent: string | undefined): Promise<PrivateDirectory> {
  if (parent !== undefined) await removeLeftovers(parent);
  const path = (await createTemporaryNames(directory))();
  await mkdir(path, { mode: 0o700 });
  return {
    path,
    async remove() {
      await removeTree(path);
      // While others have something in it, it stays.
      if (parent !== undefined) await rmdir(parent).catch(() => undefined);
    },
  };
}

/** `carport-UID` in a place; `undefined` where somebody else has that name, or could take it away. */
async function ownDirectory(place: string): Promise<string | undefined> {
  if (!(await keepsNames(place))) return undefined;
  const path = join(place, `carport-${process.geteuid?.() ?? 0}`);
  await mkdir(path, { mode: 0o700 }).catch((error) => {
    if (!isErrno(error, 'EEXIST')) throw error;
  });
  const stats = await lstat(path).catch(() => undefined);
  const isPrivate = stats?.isDirectory() && stats.uid === process.geteuid?.() && (stats.mode & 0o077) === 0;
  // Removed since: another attempt will tell.
  return isPrivate || stats === undefined ? path : undefined;
}

/** Whether only root and this user can rename what this user has in a directory. */
async function keepsNames(directory: string): Promise<boolean> {
  const { uid, mode } = await stat(directory);
  const isTrusted = uid === process.geteuid?.() || uid === 0 || uid === OVERFLOW_UID;
  return isTrusted && ((mode & 0o022) === 0 || (mode & 0o1000) !== 0);
}

/** Whether a directory is this user's own, and nobody else can write to it. */
export async function isOwnDirectory(path: string): Promise<boolean> {
  const stats = await stat(path).catch(() => undefined);
  return stats?.isDirectory() === true && stats.uid === process.geteuid?.() && (stats.mode & 0o022) === 0;
}
