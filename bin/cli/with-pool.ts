/** Work with threads. */

import { availableParallelism } from 'node:os';
import { CarportError } from '../../lib/errors.js';
import { createWorkerPool, type WorkerPool } from '../../lib/workers/pool.js';
import { type Setting, singleValue } from '../settings/settings.js';
import { interruptible } from './interrupt.js';

const MAX_JOBS = 256;

/** Runs work with threads, and ends them. An interrupt stops the threads and lets the work clean up behind itself. */
export async function withPool<T>(jobs: Setting, work: (pool: WorkerPool) => Promise<T>): Promise<T> {
  const pool = createWorkerPool(jobsOf(jobs));
  try {
    return await interruptible(
      () => void pool.close(),
      () => work(pool),
    );
  } finally {
    await pool.close();
  }
}

/** How many threads a setting means; throws when it is none that can be. */
export function jobsOf(setting: Setting): number {
  const text = singleValue(setting);
  if (text === undefined) return availableParallelism();
  const jobs = Number(text);
  if (/^[0-9]+$/.test(text) && jobs >= 1 && jobs <= MAX_JOBS) return jobs;
  throw new CarportError('E_USAGE', `\`${text}\` (${setting.origin}) is not a number of jobs from 1 to ${MAX_JOBS}`);
}
