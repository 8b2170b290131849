/** A listing, where that is cheaper than asking. */

import { hasCode } from '../lib/errors.js';
import { LIST_PAGE, listObjects, type ReadStore } from '../lib/object-store/object-store.js';
import { hashPartOfKey, NARS } from './layout.js';

const NIX32 = '0123456789abcdfghijklmnpqrsvwxyz';

/**
 * The hash parts of all narinfos of a cache, when listing them costs less than asking for `paths` narinfos one by one;
 * otherwise `undefined`.
 */
export async function listNarInfosIfCheaper(
  objects: ReadStore,
  paths: number,
): Promise<ReadonlySet<string> | undefined> {
  const sizes = await listIfCheaper(objects, '', paths);
  return sizes && new Set([...sizes.keys()].map(hashPartOfKey).filter((hashPart) => hashPart !== undefined));
}

/** The sizes of the NARs of a cache by their keys, under the same condition. */
export function listNarsIfCheaper(objects: ReadStore, nars: number): Promise<ReadonlyMap<string, number> | undefined> {
  return listIfCheaper(objects, NARS, nars);
}

/** The first page tells how many there are: keys are hashes, which are spread evenly. */
async function listIfCheaper(
  objects: ReadStore,
  prefix: string,
  questions: number,
): Promise<ReadonlyMap<string, number> | undefined> {
  const { listPageCost } = objects.traits;
  if (questions <= listPageCost) return undefined;
  const sizes = new Map<string, number>();
  let keys = 0;
  try {
    for await (const { key, size } of listObjects(objects, { prefix })) {
      sizes.set(key, size);
      if (++keys % LIST_PAGE !== 0) continue;
      const pagesLeft = (keys / LIST_PAGE) * (1 / positionOf(key.slice(prefix.length)) - 1);
      if (pagesLeft * listPageCost > questions) return undefined;
    }
    return sizes;
  } catch (error) {
    if (mayNotList(error)) return undefined;
    throw error;
  }
}

/** A key that may read and write objects need not be one that may list them. */
export function mayNotList(error: unknown): boolean {
  return hasCode(error, 'E_CREDENTIALS', 'E_UNSUPPORTED');
}

/** How far into the space of hashes a key is, from 0 to 1. Keys that do not begin like one tell nothing. */
function positionOf(key: string): number {
  const digits = [...key.slice(0, 4)].map((digit) => NIX32.indexOf(digit));
  if (digits.length < 4 || digits.includes(-1)) return 1;
  return (digits.reduce((position, digit) => position * 32 + digit, 0) + 1) / 32 ** 4;
}
