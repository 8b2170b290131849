/** Narinfos that are left of a cache that was erased in part. */

import { CarportError } from '../../lib/errors.js';
import { isListable, type ObjectStore } from '../../lib/object-store/object-store.js';
import { listHashParts } from '../binary-cache.js';
import { mayNotList } from '../existing-objects.js';
import { CACHE_INFO_KEY, narInfoKey } from '../layout.js';

/** Narinfos where there is no `nix-cache-info`: of a cache that was erased in part, say. */
export interface OrphanedNarInfos {
  readonly hashParts: ReadonlySet<string>;
  /** The first that was not expected; the others after it were not listed. */
  readonly unexpected: string | undefined;
}

/** Lists what is left of a cache; `undefined` where nothing can be listed. */
export async function listOrphanedNarInfos(
  objects: ObjectStore,
  expected: ReadonlySet<string>,
): Promise<OrphanedNarInfos | undefined> {
  if (!isListable(objects)) return undefined;
  const hashParts = new Set<string>();
  try {
    for await (const hashPart of listHashParts(objects)) {
      if (!expected.has(hashPart)) return { hashParts, unexpected: hashPart };
      hashParts.add(hashPart);
    }
    return { hashParts, unexpected: undefined };
  } catch (error) {
    if (mayNotList(error)) return undefined;
    throw error;
  }
}

/** Throws where the narinfos of a cache are left: a description would make them visible, complete or not. */
export async function refuseOrphanedNarInfos(objects: ObjectStore): Promise<void> {
  const orphaned = await listOrphanedNarInfos(objects, new Set());
  if (orphaned?.unexpected !== undefined) throw orphanedNarInfosError(objects, orphaned.unexpected);
}

export function orphanedNarInfosError(objects: ObjectStore, hashPart: string): CarportError {
  const name = narInfoKey(hashPart);
  return new CarportError('E_USAGE', `\`${objects.url}\` holds what is left of a cache, which may be incomplete`, {
    cause: new Error(`there is \`${name}\`, but no \`${CACHE_INFO_KEY}\``),
    hint: 'remove the rest with `carport cache erase`; or keep it: push with `--check-all`, each closure that shall stay',
  });
}
