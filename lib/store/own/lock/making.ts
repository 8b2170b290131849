/** Keeps processes of a machine from making one path at the same time, where that takes long: the others wait for the first. */

import { rm, writeFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { namesIn } from '../../../filesystem/exists.js';
import { createTemporaryNames, isNameOfRunningProcess, lettersOf, processIdOf } from '../../../filesystem/temporary.js';
import type { StoreLayout } from '../layout.js';

const POLL_MS = 100;

/** What whoever waits looks at, and tells. */
export interface MakingWatch {
  /** Whether the path is registered by now. */
  isThere(): Promise<boolean>;
  /** Another process is waited for; told once. */
  onWait(processId: number): void;
  /** Ends the waiting; what it was aborted with is thrown. */
  readonly signal: AbortSignal;
}

/** How waiting has ended: the path is there, or it is ours to make until `end` is called. */
export interface Turn {
  readonly isThere: boolean;
  readonly hasWaited: boolean;
  end(): Promise<void>;
}

/**
 * Waits while another process makes a path. Each has a marker that tells its process, as in `lock.ts`: who makes its own and then finds another takes its own away,
 * waits and tries again, so that no two go on that could have seen each other. A killed process counts for nothing, nor does one that is stopped or cannot be asked:
 * two that make one path are of no harm. Where no marker can be made nobody waits.
 */
export async function takeTurn(
  { activeDir }: Pick<StoreLayout, 'activeDir'>,
  path: string,
  { isThere, onWait, signal }: MakingWatch,
): Promise<Turn> {
  const ending = `.make${lettersOf(path)}`;
  const nextName = await createTemporaryNames(activeDir);
  let isTold = false;
  for (let hasWaited = false; ; hasWaited = true) {
    const before = await makerIn(activeDir, ending);
    const marker = `${nextName()}${ending}`;
    const end = () => rm(marker, { force: true }).catch(() => undefined);
    if (before === undefined) {
      if (!(await canMark(marker))) return { isThere: false, hasWaited, end };
      if ((await makerIn(activeDir, ending, marker)) === undefined) {
        // Whoever was waited for has ended between the two.
        const isMade = hasWaited && (await isThere());
        if (isMade) await end();
        return { isThere: isMade, hasWaited, end };
      }
      await end();
    } else if (!isTold) {
      isTold = true;
      onWait(before);
    }
    await setTimeout(POLL_MS * (0.5 + Math.random()), undefined, { signal }).catch(() => signal.throwIfAborted());
    if (await isThere()) return { isThere: true, hasWaited: true, end };
  }
}

/** The id of a process that makes a path now, but for that of a marker. */
async function makerIn(activeDir: string, ending: string, except?: string): Promise<number | undefined> {
  for (const name of await namesIn(activeDir).catch(() => [])) {
    if (!name.endsWith(ending) || (except !== undefined && name === basename(except))) continue;
    if (await isNameOfRunningProcess(name)) return processIdOf(name);
  }
  return undefined;
}

function canMark(marker: string): Promise<boolean> {
  return writeFile(marker, '', { flag: 'wx' }).then(
    () => true,
    () => false,
  );
}
