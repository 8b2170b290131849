/** What carport keeps beside the scripts of a directory, in `.carport`, where a project keeps the links to its toolchains. */

import { lstat, mkdir, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isThere } from '../../lib/filesystem/exists.js';
import { makeRealDirectory } from '../../lib/filesystem/make-directory.js';
import { removeTree } from '../../lib/filesystem/temporary.js';

/** Where all of it is. */
export function ownDirectory(directory: string): string {
  return join(directory, '.carport');
}

/** The places in it, none of which a project has. */
export function ownPlaces(directory: string) {
  const own = ownDirectory(directory);
  return {
    record: join(own, 'shims.json'),
    mounts: join(own, 'mounts'),
    forests: join(own, 'store'),
    /** Links that keep the toolchain from garbage collection. */
    links: join(own, 'shims'),
  };
}

/** Makes a directory for scripts, and carport's own in it. Throws `E_USAGE` where a checkout has brought a link there. */
export async function makeOwnDirectories(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await makeRealDirectory(ownDirectory(directory));
  await makeRealDirectory(ownPlaces(directory).forests, 0o700);
}

/** Removes what belongs to the scripts, and leaves what belongs to a project. */
export async function removeOwn(directory: string): Promise<void> {
  await makeRealDirectory(ownDirectory(directory));
  for (const place of Object.values(ownPlaces(directory))) await removeTree(place);
  await removeOldLinks(directory);
  await rmdir(ownDirectory(directory)).catch(() => undefined);
}

/** Removes the links where versions of before made them, unless a project has its own there: it has a `.gitignore`, too. */
export async function removeOldLinks(directory: string): Promise<void> {
  const old = join(ownDirectory(directory), 'toolchains');
  if (!(await lstat(old).catch(() => undefined))?.isDirectory()) return;
  if (await isThere(join(ownDirectory(directory), '.gitignore'))) return;
  for (const each of await readdir(old, { withFileTypes: true })) {
    if (each.isSymbolicLink() && /^(nix-)?\d+$/.test(each.name)) await rm(join(old, each.name), { force: true });
  }
  await rmdir(old).catch(() => undefined);
}
