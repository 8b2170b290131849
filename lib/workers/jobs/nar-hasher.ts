/** Hash and size of a NAR while it streams. */

import { createHash } from 'node:crypto';
import type { NarDigest } from '../jobs.js';

/** Hashes and counts the bytes of a NAR. */
export function createNarHasher() {
  const hasher = createHash('sha256');
  let narSize = 0;
  return {
    push(bytes: Uint8Array): void {
      hasher.update(bytes);
      narSize += bytes.length;
    },
    finish: (): NarDigest => ({ narHash: { algorithm: 'sha256', digest: hasher.digest() }, narSize }),
  };
}
