/** How far it is, as text. */

import type { Verb, WorkEvent } from '../../lib/events.js';
import { formatBytes, formatSeconds } from '../cli/terminal.js';

/** What shows how far a transfer has come. */
export interface Progress {
  update(state: ProgressState): void;
  finished(event: Extract<WorkEvent, { type: 'path-finished' }>): void;
  stop(): void;
}

export interface ProgressState {
  readonly verb: Verb;
  readonly paths: number;
  readonly pathsDone: number;
  readonly bytes: number;
  readonly bytesDone: number;
  /** By `performance.now()`. */
  readonly startedAt: number;
}

/** `push 12/35 paths, 340.0 MiB of 1.2 GiB, 85.0 MiB/s, 10s left`. */
export function progressText(state: ProgressState, now: number): string {
  const { verb, paths, pathsDone, bytes, bytesDone, startedAt } = state;
  const rate = bytesDone / Math.max((now - startedAt) / 1000, 0.001);
  const left = rate > 0 && bytes > bytesDone ? `, ${formatSeconds((bytes - bytesDone) / rate)} left` : '';
  const sizes = `${formatBytes(Math.min(bytesDone, bytes))} of ${formatBytes(bytes)}`;
  return `${verb} ${pathsDone}/${paths} paths, ${sizes}, ${formatBytes(Math.round(rate))}/s${left}`;
}
