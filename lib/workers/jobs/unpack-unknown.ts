/** The job that unpacks a NAR of which nothing is known, and gives its hash. */

import { createHash, type Hash as Hasher } from 'node:crypto';
import { createUnpacker } from '../../filesystem/unpack.js';
import { createNarDecoder } from '../../nix/nar/decode.js';
import type { NarEvent } from '../../nix/nar/event.js';
import type { JobContext, UnpackUnknownJob, UnpackUnknownResult } from '../jobs.js';
import { createNarHasher } from './nar-hasher.js';

/** Writes the tree of a NAR of which nothing is known, and tells what came. */
export async function unpackUnknown(
  { destination }: UnpackUnknownJob,
  { source, progress }: JobContext,
): Promise<UnpackUnknownResult> {
  const hasher = createNarHasher();
  const flat = createFlatHasher();
  const decoder = createNarDecoder();
  const apply = createUnpacker(destination, 'store');
  try {
    for await (const bytes of source) {
      hasher.push(bytes);
      for (const event of decoder.push(bytes)) {
        flat.push(event);
        apply(event);
      }
      progress(bytes.length);
    }
    decoder.end();
  } finally {
    apply.close();
  }
  const digest = flat.finish();
  return { ...hasher.finish(), ...(digest && { flatHash: { algorithm: 'sha256', digest } }) };
}

/** Hashes the bytes of a tree that is a plain file and not executable. */
function createFlatHasher() {
  let hasher: Hasher | undefined;
  let begun = false;
  return {
    push(event: NarEvent): void {
      if (!begun && event.type === 'regular' && !event.executable) hasher = createHash('sha256');
      if (event.type === 'contents') hasher?.update(event.bytes);
      begun = true;
    },
    finish: (): Uint8Array | undefined => hasher?.digest(),
  };
}
