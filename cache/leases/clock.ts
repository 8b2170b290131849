/** Time as a process has it: two clocks, of which each may stand still or jump, and pauses. Models have clocks of their own. */

import { setTimeout as pause } from 'node:timers/promises';

/** What a process knows of time, in milliseconds. Nothing here is compared with the clock of a store. */
export interface Clock {
  /** Never goes back; may stand still while a machine sleeps. */
  monotonic(): number;
  /** The time of day; may be set. */
  wall(): number;
  /** Waits so long, or until the signal is aborted; never fails. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

/** The clocks of this machine. */
export const SYSTEM_CLOCK: Clock = {
  // `performance` would be loaded for it.
  monotonic: () => Number(process.hrtime.bigint()) / 1e6,
  wall: () => Date.now(),
  sleep: async (milliseconds, signal) => {
    await pause(milliseconds, undefined, signal && { signal }).catch(() => undefined);
  },
};

/** A point in time by both clocks. */
export interface Moment {
  readonly monotonic: number;
  readonly wall: number;
}

/** What time it is by both clocks. */
export function momentOf(clock: Clock): Moment {
  return { monotonic: clock.monotonic(), wall: clock.wall() };
}

/** Milliseconds since a moment by the clock that says more: a laptop that sleeps stops one, and who sets the time the other. */
export function elapsedSince(clock: Clock, { monotonic, wall }: Moment): number {
  return Math.max(clock.monotonic() - monotonic, clock.wall() - wall);
}
