/** The plain NAR of one path of one cache. */

import { readPlainNar } from '../../lib/workers/plain-nar.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { expectedNar } from '../binary-cache.js';
import type { FoundPath } from '../find-path.js';
import { localNar } from '../nars.js';
import { isSmall, largeFile, readSmallFile, wholeFile } from '../pull/nar-source.js';

/** Gives the plain NAR, checked: its last piece comes when all of it was what was promised, else it throws. */
export type PlainNarReader = (found: FoundPath, signal: AbortSignal) => AsyncIterable<Uint8Array>;

/** Fetches whole NARs, as a pull does. */
export function createWholeNarReader(pool: WorkerPool): PlainNarReader {
  return async function* read(found, signal) {
    const { info, objects } = found;
    const file = localNar(objects, info);
    const source = async () =>
      isSmall(found) ? wholeFile(await readSmallFile(info, objects)) : largeFile(info, objects, signal);
    const from = file === undefined ? { source: await source() } : { file };
    yield* readPlainNar(pool, expectedNar(info), from, signal);
  };
}
