/** The job that unpacks small NARs, many in one go: what is not as it should be is left to the job for one. */

import type { SmallNar, SmallNarState, UnpackSmallJob } from '../../jobs.js';
import { placeTree, readInput, smallNarReader, unpackFile } from './tree.js';

/** Unpacks NARs in their order, and gives what became of each. Fails for none of them. */
export async function unpackSmall({ nars, bytes }: UnpackSmallJob): Promise<readonly SmallNarState[]> {
  const list = JSON.parse(nars) as readonly SmallNar[];
  const read = await smallNarReader();
  const given = bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 0;
  return list.map((nar): SmallNarState => {
    const start = offset;
    if (nar.file === undefined) offset += nar.promise.fileSize;
    if (read === undefined) return 'refused';
    try {
      const file = nar.file === undefined ? given?.subarray(start, offset) : readInput(nar.file, nar.promise.fileSize);
      if (file === undefined || !unpackFile(nar.promise, file, nar.destination, read)) return 'refused';
    } catch {
      return 'refused';
    }
    return nar.placement ? placeTree(nar.destination, nar.placement) : 'unpacked';
  });
}
