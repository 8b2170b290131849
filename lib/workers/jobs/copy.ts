/** The job that copies a tree into a store, and rewrites its own hash part if need be. */

import { createUnpacker } from '../../filesystem/unpack.js';
import { walkTree } from '../../filesystem/walk.js';
import { createNarDecoder } from '../../nix/nar/decode.js';
import { encodeNar } from '../../nix/nar/encode.js';
import { createHashPartRewriter } from '../../nix/references.js';
import type { CopyJob, JobContext, NarDigest } from '../jobs.js';
import { createNarHasher } from './nar-hasher.js';

/** Goes through the NAR, so that a hash part is replaced wherever the hash saw it: in names and targets, too. */
export function copyPath({ path, destination, rewrite }: CopyJob, { progress }: JobContext): NarDigest {
  const hasher = createNarHasher();
  const decoder = createNarDecoder();
  const apply = createUnpacker(destination, 'store');
  const take = (bytes: Uint8Array) => {
    hasher.push(bytes);
    for (const event of decoder.push(bytes)) apply(event);
    progress(bytes.length);
  };
  const rewriter = rewrite && createHashPartRewriter(rewrite.from, rewrite.to);
  try {
    for (const bytes of encodeNar(walkTree(path))) take(rewriter ? rewriter.push(bytes) : bytes);
    if (rewriter) take(rewriter.end());
    decoder.end();
  } finally {
    apply.close();
  }
  return hasher.finish();
}
