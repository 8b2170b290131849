/** Listings of NARs (`.ls`): which paths of a push have one, and how they are written. */

import { hasCode } from '../../lib/errors.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { Emit } from '../../lib/work.js';
import { writeListing } from '../binary-cache.js';
import type { PushEvent } from './events.js';

/** A NAR from this size on has a listing in any push: who looks into it is spared more than the request. */
const LISTED_FROM = 256 * 1024;

/** Listings of small NARs in one push: of more they are a third of its requests, and of its files. */
const MOST_SMALL_LISTINGS = 64;

/** Which paths of a push have a listing where each may: all of a few, and of many those whose NARs are large. */
export function worthListing(
  upload: readonly PathInfo[],
  { listing, smallListings = false }: { readonly listing: boolean; readonly smallListings?: boolean | undefined },
): (info: PathInfo) => boolean {
  const isLarge = ({ narSize }: PathInfo) => narSize >= LISTED_FROM;
  if (!listing) return () => false;
  if (smallListings) return () => true;
  return upload.filter((info) => !isLarge(info)).length <= MOST_SMALL_LISTINGS ? () => true : isLarge;
}

/** Writes the listing of a path, or says once that the server takes none. */
export type ListingWriter = (path: string, listing: string) => Promise<void>;

/** Makes a writer of listings for one push: these are for looking only, so a server that refuses them (ncps does) stops nothing. */
export function createListingWriter({
  objects,
  emit,
}: {
  readonly objects: ObjectStore;
  readonly emit: Emit<PushEvent>;
}): ListingWriter {
  let isRefused = false;
  return async (path, listing) => {
    if (isRefused) return;
    try {
      await writeListing(objects, hashPartOf(path), listing);
    } catch (error) {
      if (!hasCode(error, 'E_REMOTE', 'E_UNSUPPORTED', 'E_NOT_FOUND')) throw error;
      if (isRefused) return;
      isRefused = true;
      const message = `\`${objects.url}\` takes no listings, and is pushed to without: \`--no-listing\` leaves them out (${error.message})`;
      emit({ type: 'warning', message });
    }
  };
}
