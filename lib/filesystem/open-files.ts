/** How many files and connections this process may have open at a time, and threads that had none left. */

import { readFileSync } from 'node:fs';
import { isErrno, TOO_MANY_FILES } from '../errors.js';

let limit: number | undefined;

/** Of the files that may be open, so many are for modules, the main thread and files that are written. */
const OTHER_FILES = 48;

/** Files and connections that may be open beside what every run has open: for threads and requests. Perhaps negative. */
export function spareFiles(): number {
  return openFileLimit() - OTHER_FILES;
}

/**
 * Files and connections that this process may have open, as `ulimit -n` tells (proc(5), `/proc/self/limits`; Node raises
 * the soft limit to the hard one). Infinity where nobody tells.
 */
function openFileLimit(): number {
  limit ??= readLimit();
  return limit;
}

function readLimit(): number {
  try {
    const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
    return soft === undefined ? Number.POSITIVE_INFINITY : Number(soft);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** What a thread ended of; where it could not begin since no more files may be open, that (`EMFILE`, `ENFILE`), of which Node tells in words only. */
export function threadFailure(error: unknown): unknown {
  if (!isErrno(error, 'ERR_WORKER_INIT_FAILED')) return error;
  const code = TOO_MANY_FILES.find((each) => error.message.includes(each));
  return code === undefined ? error : Object.assign(new Error(error.message, { cause: error }), { code });
}
