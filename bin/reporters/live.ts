/** One line that is written over. */

import type { Output } from '../cli/context.js';
import { type Progress, progressText } from './progress.js';

/** Ten times a second at most. */
const INTERVAL_MS = 100;

/** One line on a terminal that is written over: counts, bytes, rate, time left. */
export function createLiveProgress(output: Output): Progress {
  let drawnAt = 0;
  let shown = false;
  const clear = () => {
    if (shown) output.write('\r\x1b[K');
    shown = false;
  };
  return {
    update(state) {
      const now = performance.now();
      if (now - drawnAt < INTERVAL_MS) return;
      drawnAt = now;
      const line = progressText(state, now).slice(0, (output.columns ?? 80) - 1);
      output.write(`\r\x1b[K${line}`);
      shown = true;
    },
    finished() {},
    stop: clear,
  };
}
