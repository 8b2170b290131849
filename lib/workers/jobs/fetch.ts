/** The job that takes a cache's NAR as it is, and decompresses, decodes and checks it on the way. */

import type { FetchJob, JobContext, SpooledFile } from '../jobs.js';
import { readCompressedNar, readFileInPieces } from './compressed-nar.js';
import { createSpool } from './spool.js';

/** Gives the file; throws what an unpacking would, and then what is at `spoolPath` is of no use. */
export async function fetchNar(
  { promise, file, line, spoolPath }: FetchJob,
  context: JobContext,
): Promise<SpooledFile> {
  const spool = createSpool(spoolPath);
  async function* kept(): AsyncGenerator<Uint8Array> {
    for await (const bytes of file === undefined ? context.source : readFileInPieces(file)) {
      spool.write(bytes);
      yield bytes;
    }
  }
  try {
    await readCompressedNar({ promise, line }, { ...context, source: kept() }, (_, events) => {
      for (const _ of events);
    });
    return spool.finish();
  } finally {
    spool.close();
  }
}
