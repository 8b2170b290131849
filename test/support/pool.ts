import { afterAll } from 'vitest';
import { createWorkerPool, type WorkerPool } from '#lib/workers/pool.js';

/** A pool for the tests of a suite, closed after them. */
export function usePool(size = 2): WorkerPool {
  const pool = createWorkerPool(size);
  afterAll(() => pool.close());
  return pool;
}
