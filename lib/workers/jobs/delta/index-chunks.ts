/** The job that cuts the NAR of a path that is here as a push does, and tells of its chunks. */

import { createChunker } from '../../../compression/chunks/chunker.js';
import { createHashPartFinder } from '../../../compression/chunks/hash-parts.js';
import { VIEW_HASH_SIZE, viewHash } from '../../../compression/chunks/view.js';
import { walkTree } from '../../../filesystem/walk.js';
import { encodeNar } from '../../../nix/nar/encode.js';
import type { IndexChunksJob, LocalChunks } from '../../jobs.js';

export function indexChunks({ path, list }: IndexChunksJob): LocalChunks {
  const chunker = createChunker(createHashPartFinder(list));
  const sizes: number[] = [];
  const hashes: Uint8Array[] = [];
  const note = (chunks: ReturnType<typeof chunker.end>): void => {
    for (const { bytes, positions } of chunks) {
      sizes.push(bytes.length);
      hashes.push(viewHash(bytes, positions));
    }
  };
  for (const bytes of encodeNar(walkTree(path))) note(chunker.push(bytes));
  note(chunker.end());
  return { sizes: Uint32Array.from(sizes), hashes: concatenated(hashes) };
}

function concatenated(hashes: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(hashes.length * VIEW_HASH_SIZE);
  hashes.forEach((hash, index) => {
    all.set(hash, index * VIEW_HASH_SIZE);
  });
  return all;
}
