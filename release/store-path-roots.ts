/** What the releases of a bucket keep of the cache beside them: the store paths that their files were taken from. */

import type { Root } from '../cache/gc/mark.js';
import type { RootSource } from '../cache/gc/roots.js';
import { CarportError } from '../lib/errors.js';
import { DEFAULT_STORE_DIR, hashPartOf, isStorePath } from '../lib/nix/store-path.js';
import type { ObjectStore } from '../lib/object-store/object-store.js';
import type { TrustPolicy } from '../lib/signing/trust.js';
import type { Fragment } from './documents/kinds.js';
import { FRAGMENTS } from './layout.js';
import { readSources } from './sources/sources.js';

/**
 * The paths of each version, for a collection of garbage. `E_INTEGRITY` or `E_SIGNATURE` where what is signed of a release is
 * damaged, or not signed by a trusted key: what it really keeps is not known.
 */
export function releaseRoots(policy: TrustPolicy): RootSource {
  return async (objects, listed) => {
    if (listed && !listed.some((key) => key.startsWith(FRAGMENTS))) return [];
    const { fragments, damaged } = await readSources(objects, policy);
    const [first] = damaged;
    if (first !== undefined) throw unknown(objects.url, first, 'E_INTEGRITY', 'it is damaged');
    const stranger = fragments.find(({ trusted }) => !trusted);
    if (stranger) throw unknown(objects.url, stranger.key, 'E_SIGNATURE', 'no trusted key has signed it');
    return rootsOf(fragments.map(({ value }) => value));
  };
}

/** The same for looking: whoever signed it, and without what is damaged. */
export async function lookForReleaseRoots(objects: ObjectStore): Promise<readonly Root[]> {
  const { fragments } = await readSources(objects, { keys: [], allowUnsigned: true });
  return rootsOf(fragments.map(({ value }) => value));
}

function rootsOf(fragments: readonly Fragment[]): readonly Root[] {
  const versions = new Map<string, Set<string>>();
  for (const { version, files } of fragments) {
    const hashParts = versions.get(version) ?? new Set();
    for (const { storePath } of files) {
      if (storePath !== null && isStorePath(storePath, DEFAULT_STORE_DIR)) hashParts.add(hashPartOf(storePath));
    }
    versions.set(version, hashParts);
  }
  const roots = [...versions].map(([name, hashParts]): Root => ({ kind: 'release', name, hashParts }));
  return roots.filter(({ hashParts }) => [...hashParts].length > 0);
}

function unknown(url: string, key: string, code: 'E_INTEGRITY' | 'E_SIGNATURE', why: string): CarportError {
  return new CarportError(code, 'it is not known what a release keeps: nothing is removed', {
    cause: new Error(`\`${key}\` in \`${url}\`: ${why}`),
    hint:
      code === 'E_SIGNATURE'
        ? 'name the key of the releases with `--trusted-key`, too; or take what is unsigned with `--allow-unsigned`'
        : 'a newer carport may have written it; if not, put the release again with `--replace`, or remove the object',
  });
}
