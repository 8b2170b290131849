/** The job that finds the references in a tree. */

import { walkTree } from '../../filesystem/walk.js';
import { encodeNar } from '../../nix/nar/encode.js';
import { createMentionScanner, createReferenceScanner, createSelfReferenceHasher } from '../../nix/references.js';
import type { JobContext, ScanJob, ScanResult } from '../jobs.js';
import { createNarHasher } from './nar-hasher.js';

export function scanPath(job: ScanJob, { progress }: JobContext): ScanResult {
  const { path, candidates, storeDir, selfHashPart } = job;
  const hasher = createNarHasher();
  const references = createReferenceScanner([...candidates, ...(selfHashPart ? [selfHashPart] : [])]);
  const mentions = createMentionScanner(storeDir);
  const selfHasher = selfHashPart === undefined ? undefined : createSelfReferenceHasher(selfHashPart);
  for (const bytes of encodeNar(walkTree(path))) {
    for (const consumer of [hasher, references, mentions, selfHasher]) consumer?.push(bytes);
    progress(bytes.length);
  }
  const found = references.found();
  return {
    ...hasher.finish(),
    found: found.filter((hashPart) => hashPart !== selfHashPart),
    mentions: mentions.found(),
    ...(selfHasher && { self: { seen: found.includes(selfHashPart!), hash: selfHasher.finish() } }),
  };
}
