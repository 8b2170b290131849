import { createUnpacker } from '../../filesystem/unpack.js';
import { createNarDecoder } from '../../nix/nar/decode.js';
import type { JobContext, NarDigest, UnpackUnknownJob } from '../jobs.js';
import { createNarHasher } from './nar-hasher.js';

/** Writes the tree of a NAR of which nothing is known, and tells what came. */
export async function unpackUnknown(
  { destination }: UnpackUnknownJob,
  { source, progress }: JobContext,
): Promise<NarDigest> {
  const hasher = createNarHasher();
  const decoder = createNarDecoder();
  const apply = createUnpacker(destination, 'store');
  try {
    for await (const bytes of source) {
      hasher.push(bytes);
      for (const event of decoder.push(bytes)) apply(event);
      progress(bytes.length);
    }
    decoder.end();
  } finally {
    apply.close();
  }
  return hasher.finish();
}
