/** How far work has come, and that as text. */

import type { Activity } from '../../lib/work.js';
import { formatBytes, formatSeconds } from '../cli/terminal.js';

/** What shows how far work has come. */
export interface Progress {
  update(state: ProgressState): void;
  /** One of the items is done; `size` is its bytes. */
  finished(item: { readonly name: string; readonly size: number }): void;
  /** Takes down what is on the screen; the next update shows it again. */
  stop(): void;
}

/** How far work has come. */
export interface ProgressState extends Activity {
  readonly itemsDone: number;
  readonly bytesDone: number;
  /** By `performance.now()`. */
  readonly startedAt: number;
}

/** The state of work that is begun now. */
export function startOf(activity: Activity): ProgressState {
  return { ...activity, itemsDone: 0, bytesDone: 0, startedAt: performance.now() };
}

/** `push 12/35 paths, 340.0 MiB of 1.2 GiB, 85.0 MiB/s, 10s left`; without what is not known. */
export function progressText(state: ProgressState, now: number): string {
  const { verb, unit, items, itemsDone, bytes, bytesDone, startedAt } = state;
  const counted = `${verb} ${itemsDone}${items === undefined ? '' : `/${items}`} ${unit}`;
  if (bytes === undefined && bytesDone === 0) return counted;
  const rate = bytesDone / Math.max((now - startedAt) / 1000, 0.001);
  const isMore = bytes !== undefined && bytes > bytesDone;
  const left = rate > 0 && isMore ? `, ${formatSeconds((bytes - bytesDone) / rate)} left` : '';
  const sizes =
    bytes === undefined
      ? formatBytes(bytesDone)
      : `${formatBytes(Math.min(bytesDone, bytes))} of ${formatBytes(bytes)}`;
  return `${counted}, ${sizes}, ${formatBytes(Math.round(rate))}/s${left}`;
}
