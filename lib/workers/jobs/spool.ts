/** Holds an object in memory while it is small, and in a file from then on. */

import { createHash } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { writeWhole } from '../../filesystem/unpack.js';
import type { Hash } from '../../nix/hash.js';
import { INLINE_LIMIT, type SpooledFile } from '../jobs.js';

/** Gathers a file: in memory up to `limit` bytes, then at `path`, which must not exist. */
export function createSpool(path: string, limit = INLINE_LIMIT) {
  const hasher = createHash('sha256');
  let held: Buffer[] = [];
  let fileSize = 0;
  let file: number | undefined;
  return {
    write(bytes: Uint8Array): void {
      hasher.update(bytes);
      fileSize += bytes.length;
      if (file === undefined && fileSize > limit) {
        file = openSync(path, 'wx');
        for (const piece of held) writeWhole(file, piece);
        held = [];
      }
      if (file === undefined) held.push(Buffer.from(bytes));
      else writeWhole(file, bytes);
    },
    finish(): SpooledFile {
      const fileHash: Hash = { algorithm: 'sha256', digest: hasher.digest() };
      return { fileHash, fileSize, ...(file === undefined && { bytes: Buffer.concat(held) }) };
    },
    close(): void {
      if (file !== undefined) closeSync(file);
    },
  };
}
