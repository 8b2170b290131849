/** Colours, sizes, counts. */

import type { Output } from './context.js';

export { formatBytes } from '../../lib/format-bytes.js';

/** Whether to colour what goes to `output` (no-color.org, and the older CLICOLOR). */
export function usesColor(output: Output, env: NodeJS.ProcessEnv): boolean {
  if (env.NO_COLOR || env.CLICOLOR === '0' || env.TERM === 'dumb') return false;
  return Boolean(output.isTTY) || (env.CLICOLOR_FORCE !== undefined && env.CLICOLOR_FORCE !== '0');
}

/** `1 path`, `2 paths`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** `1m05s`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole}s` : `${Math.floor(whole / 60)}m${String(whole % 60).padStart(2, '0')}s`;
}
