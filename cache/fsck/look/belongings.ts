/** Looks at what belongs to paths: listings, realisations of both forms, debugging information. */

import { CarportError, hasCode } from '../../../lib/errors.js';
import { parseListing } from '../../../lib/nix/nar/listing.js';
import { fitsNarSize } from '../../../lib/nix/nar/listing-compare.js';
import { isRealisationId, parseRealisation, parseTrace } from '../../../lib/nix/realisation.js';
import { isStoreBaseName } from '../../../lib/nix/store-path.js';
import { isKey, type ReadStore } from '../../../lib/object-store/object-store.js';
import { readListing } from '../../binary-cache.js';
import { listingKey, narKey, REALISATIONS, realisationIdOfKey, TRACES, tracedOutputOfKey } from '../../layout.js';
import type { Finding } from '../finding.js';
import { whyUnreadable } from './narinfo.js';

/** Bytes of one that are read. */
export const BELONGING_LIMIT = 1024 * 1024;

/** What a realisation or a file of debugging information stands for. */
export type Belonging =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'contents'; readonly narKey: string }
  /** It is not one, or nobody can say of what. */
  | { readonly kind: 'bad'; readonly finding: Finding }
  | { readonly kind: 'gone' };

/** Reads a realisation or a file of debugging information. */
export async function readBelonging(objects: ReadStore, key: string, storeDir: string): Promise<Belonging> {
  const isRealisation = key.startsWith(REALISATIONS) || key.startsWith(TRACES);
  const kind = isRealisation ? 'realisation-damaged' : 'debug-damaged';
  try {
    const bytes = await objects.read(key, BELONGING_LIMIT);
    if (bytes === undefined) return { kind: 'gone' };
    const text = bytes.toString('utf8');
    return isRealisation
      ? { kind: 'path', path: pathOf(key, text, storeDir) }
      : { kind: 'contents', narKey: narOf(text) };
  } catch (error) {
    if (!hasCode(error, 'E_FORMAT')) return { kind: 'bad', finding: whyUnreadable(error, key) };
    return { kind: 'bad', finding: { kind, key, message: `it cannot be read: ${error.message}` } };
  }
}

function pathOf(key: string, text: string, storeDir: string): string {
  if (key.startsWith(TRACES)) {
    const traced = tracedOutputOfKey(key);
    const isNamed = traced !== undefined && isStoreBaseName(traced.drvPath);
    if (!isNamed) throw new CarportError('E_FORMAT', 'its name is not that of an output of a derivation');
    return parseTrace(text, storeDir).outPath;
  }
  const id = realisationIdOfKey(key);
  const realisation = parseRealisation(text, storeDir);
  if (id === undefined || !isRealisationId(id)) throw new CarportError('E_FORMAT', 'its name is not an id');
  if (realisation.id !== id) throw new CarportError('E_FORMAT', `it is that of \`${realisation.id}\``);
  return realisation.outPath;
}

/** As Nix writes it, its name is relative to the directory of the object. */
function narOf(text: string): string {
  const archive = archiveIn(text);
  const nar = archive.replace(/^(\.\.\/)+/, '');
  if (!isKey(nar)) throw new CarportError('E_FORMAT', 'it names no NAR');
  return narKey({ url: nar });
}

function archiveIn(text: string): string {
  try {
    const json: unknown = JSON.parse(text);
    const { archive } = (json ?? {}) as { readonly archive?: unknown };
    return typeof archive === 'string' ? archive : '';
  } catch (cause) {
    throw new CarportError('E_FORMAT', 'it is not JSON', { cause });
  }
}

/** Whether a listing is one, and may be that of a NAR of this size; `narSize` is 0 where that is not known. */
export async function lookAtListing(
  objects: Parameters<typeof readListing>[0],
  hashPart: string,
  narSize: number,
): Promise<Finding | undefined> {
  const key = listingKey(hashPart);
  try {
    const text = await readListing(objects, hashPart);
    if (text === undefined) return undefined;
    if (narSize === 0 || fitsNarSize(parseListing(text), narSize)) return undefined;
    return { kind: 'listing-damaged', key, message: 'the listing is that of another NAR' };
  } catch (error) {
    if (!hasCode(error, 'E_FORMAT')) return whyUnreadable(error, key);
    return { kind: 'listing-damaged', key, message: `the listing cannot be read: ${error.message}` };
  }
}
