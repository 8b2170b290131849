import { readVerifiedNar } from '../../compression/verified-nar.js';
import { createUnpacker } from '../../filesystem/unpack.js';
import { createNarDecoder } from '../../nix/nar/decode.js';
import type { JobContext, UnpackJob } from '../jobs.js';

/**
 * Writes the tree while the NAR arrives. The caller renames the tree only after this has returned, so that damaged
 * content is never seen under its name.
 */
export async function unpackPath(job: UnpackJob, { source, progress }: JobContext): Promise<void> {
  const decoder = createNarDecoder();
  const apply = createUnpacker(job.destination, 'store');
  for await (const bytes of readVerifiedNar(job.promise, source)) {
    for (const event of decoder.push(bytes)) apply(event);
    progress(bytes.length);
  }
  decoder.end();
}
