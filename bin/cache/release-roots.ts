/** The store paths that the releases of a bucket were made of, as roots of its cache. */

import type { Root } from '../../cache/gc/mark.js';
import { hasCode } from '../../lib/errors.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import { readDocument } from '../../lib/object-store/documents.js';
import { listObjects, type ObjectStore } from '../../lib/object-store/object-store.js';
import { FRAGMENT } from '../../release/documents/kinds.js';
import { FRAGMENTS } from '../../release/layout.js';

/** Reads all fragments; of one that is damaged nothing is known. */
export async function releaseRoots(objects: ObjectStore): Promise<readonly Root[]> {
  const roots = new Map<string, Set<string>>();
  for await (const { key } of listObjects(objects, { prefix: FRAGMENTS, recursive: true })) {
    const fragment = await readDocument(objects, FRAGMENT, key).catch((error) => {
      if (hasCode(error, 'E_FORMAT')) return undefined;
      throw error;
    });
    for (const { storePath } of fragment?.value.files ?? []) {
      if (storePath === null) continue;
      const { version } = fragment!.value;
      roots.set(version, (roots.get(version) ?? new Set()).add(hashPartOf(storePath)));
    }
  }
  return [...roots].map(([name, hashParts]) => ({ kind: 'release', name, hashParts }));
}
