/** Work that an interrupt stops and that cleans up behind itself. */

import { type CarportError, hasCode } from '../../lib/errors.js';
import { INTERRUPTS, interruptedBy } from '../../lib/process/interrupts.js';

/** Cleaning up takes no longer: what a server does not let be removed in this time stays for a later run. */
const CLEAN_UP_MS = 8_000;

/**
 * Does work that cleans up behind itself when it fails. The first interrupt calls `stop`, which makes the work fail, for
 * this reason if it can, or is left behind if it goes on; the second ends the process at once.
 */
export async function interruptible<T>(stop: (reason: CarportError) => void, work: () => Promise<T>): Promise<T> {
  let interrupted: CarportError | undefined;
  let giveUp = () => {};
  const left = new Promise<never>((_, reject) => {
    giveUp = () => reject(new Error('what was under way did not end'));
  });
  let timer: NodeJS.Timeout | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (interrupted) process.exit(130);
    interrupted = interruptedBy(signal);
    timer = setTimeout(giveUp, CLEAN_UP_MS);
    stop(interrupted);
  };
  for (const signal of INTERRUPTS) process.on(signal, onSignal);
  try {
    const result = await Promise.race([work(), left]);
    if (!interrupted) return result;
    throw new Error('it was done before it could be stopped');
  } catch (cause) {
    if (!interrupted || hasCode(cause, 'E_INTERRUPTED')) throw cause;
    throw interrupted;
  } finally {
    clearTimeout(timer);
    for (const signal of INTERRUPTS) process.off(signal, onSignal);
  }
}
