/** Arguments that are paths, and `-`. */

import { text } from 'node:stream/consumers';
import { CarportError } from '../../lib/errors.js';
import { hashPartOf, isHashPart, isStorePath, storeDirOf } from '../../lib/nix/store-path.js';
import { resolveStorePath } from '../../lib/store/resolve.js';
import type { Store } from '../../lib/store/store.js';
import type { Context } from '../cli/context.js';

/** The store paths that the arguments are themselves, if that can be seen of each without looking at a store; else none. */
export function plainStorePaths(targets: readonly string[]): readonly string[] {
  const arePlain = targets.every((what) => what.startsWith('/') && isStorePath(what, storeDirOf(what)));
  return arePlain ? [...new Set(targets)] : [];
}

/** The hash part of what need not be here: a store path, its base name or hash part, or a link to it. */
export async function resolveHashPart(what: string, store: Pick<Store, 'storeDir' | 'realStoreDirs'>): Promise<string> {
  return (await resolveInCache(what, store)).hashPart;
}

/** The same with the whole path, where that is known: a cache that has another name under its hash part is refused. */
export async function resolveInCache(
  what: string,
  store: Pick<Store, 'storeDir' | 'realStoreDirs'>,
): Promise<{ readonly hashPart: string; readonly path?: string }> {
  if (isHashPart(what)) return { hashPart: what };
  const path = await resolveStorePath(what, store);
  return { hashPart: hashPartOf(path), path };
}

/** Puts the lines of stdin in place of `-`. */
export async function expandStdin(targets: readonly string[], context: Context): Promise<readonly string[]> {
  if (!targets.includes('-')) return targets;
  const lines = (await text(context.stdin)).split('\n').map((line) => line.trim());
  const listed = lines.filter((line) => line !== '');
  const words = targets.flatMap((what) => (what === '-' ? listed : [what]));
  if (words.length === 0) {
    throw new CarportError('E_USAGE', 'there is no path on stdin', { hint: 'give one path a line, or name paths' });
  }
  return words;
}
