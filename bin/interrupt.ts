import { CarportError } from '../lib/errors.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Does work that cleans up behind itself when it fails. The first interrupt calls `stop`, which makes the work fail; the
 * second ends the process at once.
 */
export async function interruptible<T>(stop: () => void, work: () => Promise<T>): Promise<T> {
  let interrupted: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (interrupted) process.exit(130);
    interrupted = signal;
    stop();
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  try {
    return await work();
  } catch (cause) {
    if (!interrupted || (cause instanceof CarportError && cause.code === 'E_INTERRUPTED')) throw cause;
    throw new CarportError('E_INTERRUPTED', `stopped by ${interrupted}`, {
      hint: 'run it again: paths that were finished are not done again',
    });
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}
