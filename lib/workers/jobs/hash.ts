/** The job that computes the NAR hash of a tree. */

import { walkTree } from '../../filesystem/walk.js';
import { encodeNar } from '../../nix/nar/encode.js';
import type { HashJob, JobContext, NarDigest } from '../jobs.js';
import { createNarHasher } from './nar-hasher.js';

export function hashPath({ path }: HashJob, { progress }: JobContext): NarDigest {
  const hasher = createNarHasher();
  for (const bytes of encodeNar(walkTree(path))) {
    hasher.push(bytes);
    progress(bytes.length);
  }
  return hasher.finish();
}
