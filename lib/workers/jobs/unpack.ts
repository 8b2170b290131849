/** The job that decompresses and checks a cache's NAR, and unpacks it as a tree. */

import { createUnpacker } from '../../filesystem/unpack.js';
import { createSharedFileWriter, openWrites } from '../files/shared-writes.js';
import type { JobContext, UnpackJob, UnpackResult } from '../jobs.js';
import { readCompressedNar } from './compressed-nar.js';

/**
 * Writes the tree while the NAR arrives. The caller renames the tree only after this has returned, so that damaged
 * content is never seen under its name.
 */
export async function unpackPath(job: UnpackJob, context: JobContext): Promise<UnpackResult> {
  const writes = openWrites(job.line);
  const writer = writes && createSharedFileWriter(writes);
  const apply = createUnpacker(job.destination, 'store', writer);
  try {
    const fileSize = await readCompressedNar({ ...job, writes }, context, (_, events) => {
      for (const event of events) apply(event);
    });
    writer?.finish();
    return { fileSize };
  } finally {
    writer?.abandon();
    apply.close();
  }
}
