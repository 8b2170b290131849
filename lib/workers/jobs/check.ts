/** The job that decompresses a cache's NAR, decodes and checks it, and keeps nothing. */

import type { CheckJob, JobContext, UnpackResult } from '../jobs.js';
import { readCompressedNar } from './compressed-nar.js';

/** Reads the whole NAR; throws what an unpacking would. */
export async function checkNar(job: CheckJob, context: JobContext): Promise<UnpackResult> {
  const fileSize = await readCompressedNar(job, context, (_, events) => {
    for (const _ of events);
  });
  return { fileSize };
}
