/** Signs a cache again: every path with another key, dependencies first; then the pins; and takes an old key's signatures away. */

import { DEFAULT_STORE_DIR } from '../../lib/nix/store-path.js';
import { documentKey, type Resigned, type Resigning, resignDocument } from '../../lib/object-store/documents.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { ActivityEvent, Work } from '../../lib/work.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { readCacheInfo } from '../binary-cache.js';
import { PINS } from '../layout.js';
import type { Leasing } from '../leases/lease.js';
import { notSignedBy } from '../pins/paths.js';
import { PIN_PLACE } from '../pins/pin.js';
import { listPinNames, readPin } from '../pins/pins.js';
import { type ResignedPaths, resignPaths } from './paths.js';
import { listRealisations, resignRealisation } from './realisations.js';

/** What a cache's signatures are to be. */
export interface ResignRequest extends Resigning {
  /** Reads the NAR of what no trusted key has signed, and signs it where that is what its narinfo says. */
  readonly contents?: WorkerPool;
  /** Changes nothing. */
  readonly dryRun: boolean;
  /** How garbage collections are told of it, where that is not as it ships. */
  readonly leasing?: Leasing;
}

/** What became of documents. */
export interface ResignedDocuments {
  readonly signed: number;
  readonly asTheyWere: number;
  readonly refused: readonly RefusedDocument[];
}

/** A document that was not signed again, and why. */
export interface RefusedDocument {
  readonly key: string;
  readonly why: DocumentRefusal;
}

/** Why a document is not signed again: what is said of it is doubted, or what a pin stands for has not the signatures. */
export type DocumentRefusal = Exclude<Resigned, string> | { readonly kind: 'unsigned-paths' };

/** What became of a cache. */
export interface ResignedCache {
  readonly paths: ResignedPaths;
  readonly pins: ResignedDocuments;
  readonly realisations: ResignedDocuments;
}

/**
 * Signs each narinfo that a trusted key has signed, or whose NAR is read, with all keys, and then pins and realisations. What is signed
 * already is left as it is, so that who was stopped goes on. Nothing loses its last trusted signature.
 */
export async function resignCache(
  objects: ObjectStore,
  request: ResignRequest,
  work: Work<ActivityEvent>,
): Promise<ResignedCache> {
  const paths = await resignPaths(objects, request, work);
  const keys = (await listPinNames(objects)).map((name) => documentKey(PINS, name));
  const pins = await gatherDocuments(keys, (key) => resignPin(objects, key, request));
  const storeDir = (await readCacheInfo(objects))?.storeDir ?? DEFAULT_STORE_DIR;
  const realisations = await gatherDocuments(await listRealisations(objects), (key) =>
    resignRealisation(objects, key, storeDir, request),
  );
  return { paths, pins, realisations };
}

/** Signs documents one after the other, and counts what became of them. One that has gone meanwhile does not count. */
export async function gatherDocuments(
  keys: Iterable<string>,
  resign: (key: string) => Promise<Resigned | DocumentRefusal | undefined>,
): Promise<ResignedDocuments> {
  let [signed, asTheyWere] = [0, 0];
  const refused: RefusedDocument[] = [];
  for (const key of keys) {
    const became = await resign(key);
    if (became === 'signed') signed++;
    else if (became === 'as it was') asTheyWere++;
    else if (became !== undefined) refused.push({ key, why: became });
  }
  return { signed, asTheyWere, refused };
}

/** A pin is signed only by keys that have signed what it stands for. */
async function resignPin(
  objects: ObjectStore,
  key: string,
  request: ResignRequest,
): Promise<Resigned | DocumentRefusal | undefined> {
  const dry = await resignDocument(objects, PIN_PLACE, key, { ...request, dryRun: true });
  if (dry !== 'signed' || request.dryRun) return dry;
  const pin = await readPin(objects, key.slice(PINS.length, -'.json'.length));
  if (pin && (await notSignedBy(objects, [pin], request.keys)).length > 0) return { kind: 'unsigned-paths' };
  return resignDocument(objects, PIN_PLACE, key, request);
}
