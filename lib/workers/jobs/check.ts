/** The job that decompresses a cache's NAR, decodes and checks it, and keeps nothing but its listing, where that is wished. */

import { createListingBuilder, renderListing } from '../../nix/nar/listing.js';
import type { CheckJob, CheckResult, JobContext } from '../jobs.js';
import { readCompressedNar } from './compressed-nar.js';

/** Reads the whole NAR; throws what an unpacking would. */
export async function checkNar(job: CheckJob, context: JobContext): Promise<CheckResult> {
  const listing = job.listing ? createListingBuilder() : undefined;
  const fileSize = await readCompressedNar(job, context, (_, events) => {
    for (const _ of listing ? listing.tap(events) : events);
  });
  return { fileSize, ...(listing && { listing: renderListing(listing.finishReadable()) }) };
}
