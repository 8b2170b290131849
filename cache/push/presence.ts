import { hashPartOfKey } from '../binary-cache.js';
import { LIST_PAGE, listObjects, type ObjectStore } from '../object-store/object-store.js';

/** A page takes a server as long as so many single requests, which also go beside each other. */
const PAGE_COST = 10;

const NIX32 = '0123456789abcdfghijklmnpqrsvwxyz';

/**
 * The hash parts of all narinfos of a cache, when listing them costs less than asking for `paths` narinfos one by one;
 * otherwise `undefined`. The first page tells how large the cache is: hash parts are spread evenly.
 */
export async function listIfCheaper(objects: ObjectStore, paths: number): Promise<ReadonlySet<string> | undefined> {
  if (objects.list === undefined || paths <= PAGE_COST) return undefined;
  const hashParts = new Set<string>();
  let keys = 0;
  for await (const { key } of listObjects(objects)) {
    const hashPart = hashPartOfKey(key);
    if (hashPart !== undefined) hashParts.add(hashPart);
    if (++keys % LIST_PAGE !== 0) continue;
    const pagesLeft = (keys / LIST_PAGE) * (1 / Math.max(positionOf(key), Number.EPSILON) - 1);
    if (pagesLeft * PAGE_COST > paths) return undefined;
  }
  return hashParts;
}

/** How far into the space of hash parts a key is, from 0 to 1. Keys that do not begin like one tell nothing. */
function positionOf(key: string): number {
  const digits = [...key.slice(0, 4)].map((digit) => NIX32.indexOf(digit));
  if (digits.length < 4 || digits.includes(-1)) return 1;
  return digits.reduce((position, digit) => position * 32 + digit, 0) / 32 ** 4;
}
