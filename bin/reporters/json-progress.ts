/** How far it is, for programs: lines of JSON on stderr. */

import { type Output, writeJsonLine } from '../cli/context.js';
import type { Progress } from './progress.js';

/** Work that takes less says nothing, so that what goes wrong at once is all that stands there. */
const INTERVAL_MS = 1000;

/** One line a second: `{"version":1,"type":"progress","verb":"verify","unit":"paths","items":35,"itemsDone":12,…}`. */
export function createJsonProgress(output: Output): Progress {
  let writtenAt = performance.now();
  return {
    update({ verb, unit, items = null, itemsDone, bytes = null, bytesDone }) {
      const now = performance.now();
      if (now - writtenAt < INTERVAL_MS) return;
      writtenAt = now;
      writeJsonLine(output, { type: 'progress', verb, unit, items, itemsDone, bytes, bytesDone });
    },
    finished() {},
    stop() {},
  };
}
