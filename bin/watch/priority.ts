/**
 * What this process takes of the processors: less while somebody's command runs beside it, and afterwards, when people wait for
 * nothing else, as much as before, where the system lets it.
 */

import { readdir } from 'node:fs/promises';
import { getPriority, setPriority } from 'node:os';

/** Where processors are short a command has ten times as much of them. */
const LOWER_BY = 10;

/** Who cannot go back later has a third: on a busy machine a tenth would make people wait at the end. */
const LOWER_BY_FOR_GOOD = 5;

/** Each thread has a priority of its own, on Linux. */
const THREADS = '/proc/self/task';

/**
 * Lowers the priority of the calling thread, which threads and programs have that it starts from here on. Gives what puts it back,
 * for all threads, as far as the system allows.
 */
export function lowerPriority(): () => Promise<void> {
  try {
    const before = getPriority();
    const to = before + (mayRaise(before) ? LOWER_BY : LOWER_BY_FOR_GOOD);
    setPriority(Math.min(to, 19));
    return () => restore(before);
  } catch {
    // Some systems do not let it be.
    return () => Promise.resolve();
  }
}

/** Whether a priority can be raised again. Rights do not tell: those in a container may count there only. */
function mayRaise(priority: number): boolean {
  setPriority(Math.min(priority + 1, 19));
  return raise(0, priority);
}

async function restore(priority: number): Promise<void> {
  if (!raise(0, priority)) return;
  const threads = await readdir(THREADS).catch(() => []);
  for (const thread of threads) raise(Number(thread), priority);
}

function raise(thread: number, priority: number): boolean {
  try {
    setPriority(thread, priority);
    return true;
  } catch {
    return false;
  }
}
