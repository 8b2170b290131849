/** The job that cuts the NAR of a path that is here as a push does or did, and tells of its chunks. */

import { setImmediate as turn } from 'node:timers/promises';
import { type Chunk, createChunker } from '../../../compression/chunks/chunker.js';
import { createHashPartFinder } from '../../../compression/chunks/hash-parts.js';
import { VIEW_HASH_SIZE, viewHash } from '../../../compression/chunks/view.js';
import type { IndexChunksJob, LocalChunks } from './assembly.js';
import { endedSize } from './begun.js';
import { LONG_READ, openNarRanges } from './nar-ranges.js';

/**
 * Cuts as much as the NAR should have; `E_INTEGRITY` where it has less, and is not known to be a part. Of a part that is not looked at which
 * somebody has ended: it is as the whole has it.
 */
export async function indexChunks({ path, list, cutting, whole, ...job }: IndexChunksJob): Promise<LocalChunks> {
  const ended = whole && chunksBefore(endedSize(path), whole);
  const { from, to } = job.piece ?? { from: ended?.size ?? 0, to: job.narSize };
  const chunker = createChunker(createHashPartFinder(list), { cutting, from });
  const sizes: number[] = [...(ended?.sizes ?? [])];
  const hashes: Uint8Array[] = ended ? [ended.hashes] : [];
  const note = (chunks: Iterable<Chunk>): void => {
    for (const { bytes, positions } of chunks) {
      sizes.push(bytes.length);
      hashes.push(viewHash(bytes, positions));
    }
  };
  const ranges = openNarRanges(path);
  const piece = Buffer.allocUnsafe(Math.min(to - from, LONG_READ));
  try {
    for (let at = from; at < to; at += piece.length) {
      const bytes = piece.subarray(0, to - at);
      const size = whole ? ranges.readSome(bytes, at) : ranges.read(bytes, at);
      note(chunker.push(bytes.subarray(0, size)));
      if (size < bytes.length) break;
      // Its thread has other jobs, which somebody reads.
      await turn();
    }
  } finally {
    ranges.close();
  }
  const last = chunker.end();
  // Elsewhere than at its end a NAR goes on.
  if (to === job.narSize) note(last);
  else for (const _ of last);
  return { cutting, sizes: Uint32Array.from(sizes), hashes: Buffer.concat(hashes) };
}

/** The chunks that end in so many bytes of a NAR, and their bytes. */
function chunksBefore(end: number, { sizes, hashes }: LocalChunks) {
  let [count, size] = [0, 0];
  while (count < sizes.length && size + sizes[count]! <= end) size += sizes[count++]!;
  return { size, sizes: sizes.subarray(0, count), hashes: hashes.subarray(0, count * VIEW_HASH_SIZE) };
}
