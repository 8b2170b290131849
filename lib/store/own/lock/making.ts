/** Keeps processes of a machine from making one path at the same time, where that takes long: the others wait for the first. */

import { rm, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { namesIn } from '../../../filesystem/exists.js';
import {
  createTemporaryNames,
  isNameOfRunningProcess,
  letterHash,
  processIdOf,
} from '../../../filesystem/temporary.js';
import type { StoreLayout } from '../layout.js';

const POLL_MS = 100;

/** Longer nobody waits: the other may have a slow cache, or one that does not answer. */
const PATIENCE_MS = 60_000;

/** A path of a store, as whoever wants to make it sees it. */
export interface WantedPath {
  readonly path: string;
  /** Whether it is registered by now. */
  isMade(): Promise<boolean>;
}

/** What whoever waits tells, and what ends that. */
export interface MakingWatch {
  /** Another process is waited for; told once. */
  onWait(processId: number): void;
  /** Ends the waiting; what it was aborted with is thrown. */
  readonly signal: AbortSignal;
  /** A minute where it does not say. */
  readonly patienceMs?: number;
}

/** A path that is made, or that is ours to make until `end` is called. */
export interface Turn {
  readonly isMade: boolean;
  end(): Promise<void>;
}

type Markers = Pick<StoreLayout, 'activeDir'>;

const MADE: Turn = { isMade: true, end: async () => {} };

/**
 * The turn to make a path; `undefined` while another has it. Each has a marker that tells its process, as in `lock.ts`: who makes its own
 * and then finds another takes its own away, so that no two go on that could have seen each other. A killed process counts for nothing,
 * nor does one that is stopped or cannot be asked: two that make one path are of no harm. Where no marker can be made everybody has the turn.
 */
export async function tryTurn({ activeDir }: Markers, { path, isMade }: WantedPath): Promise<Turn | undefined> {
  const ending = endingOf(path);
  if (await makerIn(activeDir, ending)) return (await isMade()) ? MADE : undefined;
  const marker = `${(await createTemporaryNames(activeDir))()}${ending}`;
  const end = () => rm(marker, { force: true }).catch(() => undefined);
  let isOurs = false;
  try {
    const isAlone = !(await canMark(marker)) || !(await makerIn(activeDir, ending, basename(marker)));
    // Whoever had the turn may have ended between the two.
    if (await isMade()) return MADE;
    isOurs = isAlone;
    return isOurs ? { isMade: false, end } : undefined;
  } finally {
    if (!isOurs) await end();
  }
}

/**
 * Waits until nobody makes a path, or it is made; false where that takes too long. Who only tries for the turn is gone at the second look,
 * and not told of.
 */
export async function waitForMaker(
  { activeDir }: Markers,
  { path, isMade }: WantedPath,
  { onWait, signal, patienceMs = PATIENCE_MS }: MakingWatch,
): Promise<boolean> {
  const until = performance.now() + patienceMs;
  let seen: string | undefined;
  for (let isTold = false; ; ) {
    // Those that try again must not go on doing so in step.
    await setTimeout(POLL_MS * (0.5 + Math.random()), undefined, { signal }).catch(() => signal.throwIfAborted());
    const maker = await makerIn(activeDir, endingOf(path));
    if (maker === undefined || (await isMade())) return true;
    if (maker === seen && !isTold) {
      isTold = true;
      onWait(processIdOf(maker)!);
    }
    if (isTold && performance.now() > until) return false;
    seen = maker;
  }
}

function endingOf(path: string): string {
  return `.make${letterHash(path)}`;
}

/** The name of a marker, other than our own, of a process that makes a path now. */
async function makerIn(activeDir: string, ending: string, own?: string): Promise<string | undefined> {
  for (const name of await namesIn(activeDir).catch(() => [])) {
    if (name.endsWith(ending) && name !== own && (await isNameOfRunningProcess(name))) return name;
  }
  return undefined;
}

function canMark(marker: string): Promise<boolean> {
  return writeFile(marker, '', { flag: 'wx' }).then(
    () => true,
    () => false,
  );
}
