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

/** What it takes to tell a rate: the first bytes come while connections are made, and tell nothing. */
const RATE_SECONDS = 3;
const RATE_PART = 0.05;

/** What it takes to tell the time that is left, beside a rate: a tiny part of the whole says little of it. */
const LEFT_SECONDS = 30;
const LEFT_PART = 0.01;

/** `push 12/35 paths, 340.0 MiB of 1.2 GiB, 85.0 MiB/s, 10s left`; without what is not known. */
export function progressText(state: ProgressState, now: number): string {
  const { verb, unit, items, itemsDone, bytes, bytesDone, startedAt } = state;
  const counted = `${verb} ${itemsDone}${items === undefined ? '' : `/${items}`} ${unit}`;
  if (bytes === undefined && bytesDone === 0) return counted;
  const seconds = (now - startedAt) / 1000;
  const part = bytes === undefined ? 0 : bytesDone / bytes;
  const rate = bytesDone / Math.max(seconds, 0.001);
  const speed = seconds >= RATE_SECONDS || part >= RATE_PART ? `, ${formatBytes(Math.round(rate))}/s` : '';
  const isTold = speed !== '' && (seconds >= LEFT_SECONDS || part >= LEFT_PART);
  const left = isTold && rate > 0 && bytes !== undefined && bytes > bytesDone;
  const sizes =
    bytes === undefined
      ? formatBytes(bytesDone)
      : `${formatBytes(Math.min(bytesDone, bytes))} of ${formatBytes(bytes)}`;
  return `${counted}, ${sizes}${speed}${left ? `, ${formatSeconds((bytes - bytesDone) / rate)} left` : ''}`;
}
