/** The job that decompresses and checks a cache's NAR, and unpacks it as a tree. */

import { createTreePlace, createUnpacker } from '../../filesystem/unpack.js';
import { createSharedFileWriter, openWrites } from '../files/shared-writes.js';
import type { JobContext, UnpackJob, UnpackResult } from '../jobs.js';
import { readCompressedNar } from './compressed-nar.js';

/**
 * Writes the tree while the NAR arrives. The caller renames the tree only after this has returned, so that damaged
 * content is never seen under its name. What was begun of it is gone on with.
 */
export async function unpackPath(job: UnpackJob, context: JobContext): Promise<UnpackResult> {
  const writes = openWrites(job.line);
  const writer = writes && createSharedFileWriter(writes);
  const place = createTreePlace(job.destination);
  const apply = createUnpacker(job.destination, 'store', writer, place);
  try {
    const assembly = job.assembly && (await import('./delta/begun.js')).goOnWith(job.assembly, job.destination);
    const there = assembly?.there?.size ?? 0;
    let read = 0;
    const fileSize = await readCompressedNar({ ...job, assembly, writes }, context, (bytes, events) => {
      read += bytes.length;
      const take = read > there ? apply : place.pass;
      for (const event of events) take(event);
    });
    writer?.finish();
    return { fileSize };
  } finally {
    writer?.abandon();
    apply.close();
  }
}
