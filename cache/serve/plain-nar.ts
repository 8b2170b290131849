/** The plain NAR of one path of one cache. */

import type { NarPiece, NarProgress } from '../../lib/workers/jobs.js';
import { readPlainNar } from '../../lib/workers/plain-nar.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { expectedNar } from '../binary-cache.js';
import type { FoundPath } from '../find-path.js';
import { localNar } from '../nars.js';
import { isSmall, largeFile, readSmallFile, wholeFile } from '../pull/nar-source.js';

/**
 * Gives the plain NAR, checked, from where `after` ends: its last piece comes when all of it was what was promised, else it throws,
 * and so where it begins with other bytes.
 */
export type PlainNarReader = (found: FoundPath, signal: AbortSignal, after?: NarProgress) => AsyncIterable<NarPiece>;

/** Fetches whole NARs, as a pull does. */
export function createWholeNarReader(pool: WorkerPool): PlainNarReader {
  return async function* read(found, signal, after) {
    const { info, objects } = found;
    const file = localNar(objects, info);
    const source = async () =>
      isSmall(found) ? wholeFile(await readSmallFile(info, objects)) : largeFile(info, objects, signal);
    const from = file === undefined ? { source: await source() } : { file };
    yield* readPlainNar(pool, expectedNar(info), from, signal, after);
  };
}
