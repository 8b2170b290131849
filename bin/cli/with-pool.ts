/** Work with threads. */

import { availableParallelism } from 'node:os';
import { spareFiles } from '../../lib/filesystem/open-files.js';
import { createWorkerPool, type WorkerPool } from '../../lib/workers/pool.js';
import { interruptible } from './interrupt.js';

/** Open files that a thread needs for itself and its work. */
const FILES_A_THREAD = 16;

/** As many threads as the process may open files for. */
function affordableThreads(): number {
  return Math.max(1, Math.floor(spareFiles() / FILES_A_THREAD));
}

/** Threads, `jobs` of them or as many as there are processors and the process may open files for. */
export function createPool(jobs: number | undefined): WorkerPool {
  return createWorkerPool(Math.min(jobs ?? availableParallelism(), affordableThreads()));
}

/**
 * Runs work with threads, `jobs` of them or as many as there are processors, and ends them. An interrupt stops the threads and lets
 * the work clean up behind itself.
 */
export async function withPool<T>(
  jobs: number | undefined,
  work: (pool: WorkerPool) => Promise<T>,
  pool = createPool(jobs),
): Promise<T> {
  try {
    return await interruptible(
      (reason) => void pool.close(reason),
      () => work(pool),
    );
  } finally {
    await pool.close();
  }
}
