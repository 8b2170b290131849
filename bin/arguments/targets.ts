/** Arguments of a pull: pins and paths. */

import { parsePinReference } from '../../cache/pins/reference.js';
import type { Target } from '../../cache/pull/targets.js';
import type { Store } from '../../lib/store/store.js';
import { resolveInCache } from './paths.js';

/** Reads arguments: a bare word is a pin; all else is a path, its hash part, or a link to it, which has a `/`. */
export function parseTargets(
  words: readonly string[],
  store: Pick<Store, 'storeDir' | 'realStoreDirs'>,
): Promise<readonly Target[]> {
  return Promise.all(
    words.map(async (word): Promise<Target> => {
      const pin = parsePinReference(word);
      return pin === undefined ? resolveInCache(word, store) : { pin };
    }),
  );
}
