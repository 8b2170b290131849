/** Lines for logs. */

import type { Output } from '../cli/context.js';
import { printable } from '../cli/printable.js';
import { formatBytes } from '../cli/terminal.js';
import { type Progress, progressText } from './progress.js';

const INTERVAL_MS = 10_000;

/** Items of this size get a line of their own when they are finished. */
const LARGE = 32 * 1024 * 1024;

/** Lines for logs: one for each large item, and every ten seconds how far it is. */
export function createPlainProgress(output: Output): Progress {
  let writtenAt = performance.now();
  return {
    update(state) {
      const now = performance.now();
      if (now - writtenAt < INTERVAL_MS) return;
      writtenAt = now;
      output.write(`${progressText(state, now)}\n`);
    },
    finished({ name, size }) {
      if (size >= LARGE) output.write(`${printable(name)} (${formatBytes(size)})\n`);
    },
    stop() {},
  };
}
