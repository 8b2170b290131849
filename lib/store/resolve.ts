/** The store path that an argument means. */

import { lstat, readlink, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { CarportError, hasCode, isErrno } from '../errors.js';
import { isHashPart, isStoreBaseName, isStorePath } from '../nix/store-path.js';
import type { Store } from './store.js';

/** Links to links, at most: more is a circle. */
const MAX_LINKS = 40;

/**
 * The store path that `what` means: a store path or a file in one, a link to one (`./result`), or the base name of one.
 * Links are followed up to the store and no further: inside it they are content.
 */
export async function resolveStorePath(
  what: string,
  store: Pick<Store, 'storeDir' | 'realStoreDirs'>,
): Promise<string> {
  const direct = storePathIn(what, store) ?? (isStoreBaseName(what) ? `${store.storeDir}/${what}` : undefined);
  if (direct) return direct;
  const elsewhere = storeDirIn(what);
  try {
    return await followLinks(what, store);
  } catch (error) {
    if (elsewhere === undefined || !hasCode(error, 'E_USAGE', 'E_NOT_FOUND')) throw error;
    throw ofOtherStoreDir(what, elsewhere, store.storeDir);
  }
}

async function followLinks(what: string, store: Pick<Store, 'storeDir' | 'realStoreDirs'>): Promise<string> {
  let path = resolve(what);
  for (let links = 0; links < MAX_LINKS; links++) {
    path = join(await realDirectory(dirname(path), what), basename(path));
    const found = storePathIn(path, store);
    if (found) return found;
    const target = await linkTarget(path, what);
    if (target === undefined) break;
    path = resolve(dirname(path), target);
    const linked = storePathIn(path, store);
    if (linked) return linked;
  }
  throw new CarportError('E_USAGE', `\`${what}\` is neither a store path nor a link to one`, {
    hint: 'add a build output to a store first: `carport store add PATH --name NAME` prints its store path',
  });
}

/** The directory in which a path that is written as a store path lies. */
function storeDirIn(what: string): string | undefined {
  const parts = what.split('/');
  const at = what.startsWith('/') ? parts.findIndex(isStoreBaseName) : -1;
  return at > 1 ? parts.slice(0, at).join('/') : undefined;
}

function ofOtherStoreDir(what: string, storeDir: string, wanted: string): CarportError {
  return new CarportError('E_USAGE', `\`${what}\` is a path of the store dir \`${storeDir}\`, not of \`${wanted}\``, {
    cause: new Error(`the store that is used here is for paths of \`${wanted}\``),
    hint: `where Nix's own store is at \`${storeDir}\`, use it: \`--store nix\`; where that is a copy of a store for \`${wanted}\`, name the store with \`--store\``,
  });
}

/** The store path that a path begins with: in the store dir, or where the store really is. */
function storePathIn(path: string, { storeDir, realStoreDirs }: Pick<Store, 'storeDir' | 'realStoreDirs'>) {
  for (const directory of [storeDir, ...realStoreDirs]) {
    if (!path.startsWith(`${directory}/`)) continue;
    const [name] = path.slice(directory.length + 1).split('/');
    const storePath = `${storeDir}/${name}`;
    if (isStorePath(storePath, storeDir)) return storePath;
  }
  return undefined;
}

async function realDirectory(directory: string, what: string): Promise<string> {
  try {
    return await realpath(directory);
  } catch (error) {
    throw explain(error, what);
  }
}

async function linkTarget(path: string, what: string): Promise<string | undefined> {
  try {
    return (await lstat(path)).isSymbolicLink() ? await readlink(path) : undefined;
  } catch (error) {
    throw explain(error, what);
  }
}

function explain(error: unknown, what: string): unknown {
  if (!isErrno(error, 'ENOENT', 'ENOTDIR')) return error;
  const hint = isHashPart(what)
    ? 'a hash part alone is known to caches only; give the whole store path'
    : 'give a store path, or a link to one such as `./result`';
  return new CarportError('E_NOT_FOUND', `\`${what}\` does not exist`, { hint });
}
