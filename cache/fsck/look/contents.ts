/** Reads NARs to the end, and compares them with what their narinfos say; also with their listings. */

import { NarRefusal } from '../../../lib/compression/nar-refusal.js';
import { CarportError } from '../../../lib/errors.js';
import { sameListing } from '../../../lib/nix/nar/listing-compare.js';
import type { NarInfo } from '../../../lib/nix/narinfo.js';
import { hashPartOf } from '../../../lib/nix/store-path.js';
import type { ObjectStore } from '../../../lib/object-store/object-store.js';
import type { WorkerPool } from '../../../lib/workers/pool.js';
import { readListing } from '../../binary-cache.js';
import { listingKey, narInfoKey } from '../../layout.js';
import { checkNar } from '../../verify/checked-nar.js';
import type { Finding } from '../finding.js';
import { whyUnreadable } from './narinfo.js';

/** Reads a NAR whole; gives what is the matter with it. */
export async function lookIntoNar(
  objects: ObjectStore,
  info: NarInfo,
  pool: WorkerPool,
  { onProgress, hasListing }: { readonly onProgress?: (bytes: number) => void; readonly hasListing: boolean },
): Promise<readonly Finding[]> {
  try {
    const { listing } = await checkNar(objects, info, pool, { onProgress, listing: hasListing });
    if (listing === undefined) return [];
    const hashPart = hashPartOf(info.path);
    const text = await readListing(objects, hashPart);
    if (text === undefined || sameListing(text, listing)) return [];
    const message = 'the listing is not of what the NAR holds';
    return [{ kind: 'listing-damaged', key: listingKey(hashPart), path: info.path, message }];
  } catch (error) {
    return [refusalOf(error, info)];
  }
}

function refusalOf(error: unknown, { path, url }: NarInfo): Finding {
  const about = { key: narInfoKey(hashPartOf(path)), path };
  if (!(error instanceof CarportError)) throw error;
  const { code, cause, message, hint = 'another carport, or Nix, may read it' } = error;
  const why = cause instanceof Error ? `: ${cause.message}` : '';
  const nar = `its NAR \`${url}\``;
  switch (code) {
    case 'E_NOT_FOUND':
      return { ...about, kind: 'nar-missing', missing: url, message };
    case 'E_UNSUPPORTED':
      return { ...about, kind: 'nar-unsupported', message: `${nar} cannot be read here${why}`, hint };
    case 'E_INTEGRITY':
    case 'E_FORMAT': {
      const isOnlyFile = cause instanceof NarRefusal && cause.found === 'another with the NAR';
      if (!isOnlyFile) return { ...about, kind: 'nar-damaged', missing: url, message: `${nar} is damaged${why}` };
      return { ...about, kind: 'nar-file-hash', message: `${nar} is right, but not what it says of the file${why}` };
    }
    default:
      return { ...whyUnreadable(error, url), path };
  }
}
