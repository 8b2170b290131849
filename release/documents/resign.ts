/** Signs the documents about releases again with other keys. */

import { type Resigned, type Resigning, resignDocument } from '../../lib/object-store/documents.js';
import { listObjects, type ObjectStore } from '../../lib/object-store/object-store.js';
import { FRAGMENTS, LEDGER_KEY, PROMOTIONS, PRUNINGS, YANKS } from '../layout.js';
import { FRAGMENT_PLACE, PROMOTION_PLACE, PRUNING_PLACE, YANK_PLACE } from './places.js';

type Resign = (
  objects: ObjectStore,
  key: string,
  request: Resigning & { dryRun: boolean },
) => Promise<Resigned | undefined>;

/** How the documents of each directory are signed again. */
const DIRECTORIES: Readonly<Record<string, Resign>> = {
  [FRAGMENTS]: (objects, key, request) => resignDocument(objects, FRAGMENT_PLACE, key, request),
  [YANKS]: (objects, key, request) => resignDocument(objects, YANK_PLACE, key, request),
  [PROMOTIONS]: (objects, key, request) => resignDocument(objects, PROMOTION_PLACE, key, request),
  [PRUNINGS]: (objects, key, request) => resignDocument(objects, PRUNING_PLACE, key, request),
};

/** Signs the document about releases at a key; `undefined` when it has gone. */
export function resignReleaseDocument(
  objects: ObjectStore,
  key: string,
  request: Resigning & { readonly dryRun: boolean },
): Promise<Resigned | undefined> {
  const directory = Object.keys(DIRECTORIES).find((each) => key.startsWith(each))!;
  return DIRECTORIES[directory]!(objects, key, request);
}

/** Keys of all documents about releases, but for the ledger, which the next publishing of the index signs. */
export async function listReleaseDocuments(objects: ObjectStore): Promise<readonly string[]> {
  const keys: string[] = [];
  for (const prefix of Object.keys(DIRECTORIES)) {
    for await (const { key } of listObjects(objects, { prefix, recursive: true }))
      if (key.endsWith('.json')) keys.push(key);
  }
  return keys;
}

/** Whether a bucket has an index of releases, which is signed, too. */
export async function hasIndex(objects: ObjectStore): Promise<boolean> {
  return (await objects.stat(LEDGER_KEY)) !== undefined;
}
