/** A store path and where its content is; whether it is in its place. */

import { lstat } from 'node:fs/promises';

/** A store path, and where its content is. */
export interface PlacedPath {
  readonly path: string;
  readonly realPath: string;
}

/** Whether all paths are already where they say: in the system's store, or within another namespace like ours. */
export async function areInPlace(paths: readonly PlacedPath[]): Promise<boolean> {
  for (const { path, realPath } of paths) {
    if (path !== realPath && !(await isSameFile(path, realPath))) return false;
  }
  return true;
}

async function isSameFile(path: string, other: string): Promise<boolean> {
  const [one, two] = await Promise.all([path, other].map((each) => lstat(each).catch(() => undefined)));
  return one !== undefined && two !== undefined && one.ino === two.ino && one.dev === two.dev;
}
