/** Files that others are to read although the umask hides them, as Nix has it for its caches. */

import { chmod, stat } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { makeDirectory } from './make-directory.js';

const READ = 0o444;
const LOOK = 0o555;

/** Whether files of this process cannot be read by a web server: the umask takes the right from somebody. */
export function isHiding(): boolean {
  return (process.umask() & LOOK) !== 0;
}

/** Makes a directory and those above it that are missing, for all to look into. What is there stays as it is. */
export async function makeSharedDirectory(path: string): Promise<void> {
  const made = isHiding() ? await missingAbove(path) : [];
  await makeDirectory(path);
  for (const directory of made) await addMode(directory, LOOK);
}

/** Lets all read files of a directory `root`: called with the path of each below it, once it is in its place. */
export function createSharing(root: string): (path: string) => Promise<void> {
  if (!isHiding()) return async () => {};
  const looked = new Set([root]);
  return async (path) => {
    const parts = path.slice(root.length + 1).split(sep);
    for (let end = 1; end < parts.length; end++) {
      const directory = join(root, ...parts.slice(0, end));
      if (!looked.has(directory)) await addMode(directory, LOOK);
      looked.add(directory);
    }
    await addMode(path, READ);
  };
}

async function missingAbove(path: string): Promise<readonly string[]> {
  if (dirname(path) === path || (await stat(path).catch(() => undefined))) return [];
  return [...(await missingAbove(dirname(path))), path];
}

async function addMode(path: string, rights: number): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & rights) !== rights) await chmod(path, (mode | rights) & 0o7777);
}
