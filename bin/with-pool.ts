import { availableParallelism } from 'node:os';
import { CarportError } from '../lib/errors.js';
import { createWorkerPool, type WorkerPool } from '../lib/workers/pool.js';
import { type Setting, singleValue } from './settings.js';

const MAX_JOBS = 256;

/**
 * Runs work with threads, and ends them. The first interrupt stops the threads and lets the work clean up behind itself;
 * the second ends the process at once.
 */
export async function withPool<T>(jobs: Setting, work: (pool: WorkerPool) => Promise<T>): Promise<T> {
  const pool = createWorkerPool(jobsOf(jobs));
  let interrupted: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (interrupted) process.exit(130);
    interrupted = signal;
    void pool.close();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  try {
    return await work(pool);
  } catch (cause) {
    if (!interrupted) throw cause;
    throw new CarportError('E_INTERRUPTED', `stopped by ${interrupted}`, {
      hint: 'run it again: it goes on where it was stopped',
    });
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
    await pool.close();
  }
}

function jobsOf(setting: Setting): number {
  const text = singleValue(setting);
  if (text === undefined) return availableParallelism();
  const jobs = Number(text);
  if (/^[0-9]+$/.test(text) && jobs >= 1 && jobs <= MAX_JOBS) return jobs;
  throw new CarportError('E_USAGE', `\`${text}\` (${setting.origin}) is not a number of jobs from 1 to ${MAX_JOBS}`);
}
