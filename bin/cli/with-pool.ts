/** Work with threads. */

import { availableParallelism } from 'node:os';
import { createWorkerPool, type WorkerPool } from '../../lib/workers/pool.js';
import { interruptible } from './interrupt.js';

/** Runs work with threads, `jobs` of them or as many as there are processors, and ends them. An interrupt stops the threads and lets the work clean up behind itself. */
export async function withPool<T>(jobs: number | undefined, work: (pool: WorkerPool) => Promise<T>): Promise<T> {
  const pool = createWorkerPool(jobs ?? availableParallelism());
  try {
    return await interruptible(
      () => void pool.close(),
      () => work(pool),
    );
  } finally {
    await pool.close();
  }
}
