/** Looks whether the NARs of a pull are there, without fetching them: the dry run. */

import { mapAtMost } from '../../lib/concurrency.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { listNarsIfCheaper } from '../existing-objects.js';
import { fromFirstThatCan, type Sources } from '../fallback.js';
import { type NarSizes, requireNar } from '../nars.js';
import type { PullPlan } from './plan.js';

/** NARs that are asked for at a time. */
const QUERIES_AT_ONCE = 64;

/** Looks whether the NARs of a plan are there, and throws what the pull would, also when another cache has them. */
export async function lookForNars({ fetch }: PullPlan, sources: Sources): Promise<void> {
  const listings = new Map<ObjectStore, Promise<NarSizes | undefined>>();
  const listingOf = (objects: ObjectStore) => {
    const nars = fetch.filter((planned) => planned.objects === objects).length;
    const listing = listings.get(objects) ?? listNarsIfCheaper(objects, nars);
    listings.set(objects, listing);
    return listing;
  };
  await mapAtMost(QUERIES_AT_ONCE, fetch, (planned) =>
    fromFirstThatCan(planned, sources, async ({ info, objects }) =>
      requireNar(objects, info, await listingOf(objects)),
    ),
  );
}
