/** Interrupts while carport waits for a program: what is asked is stopped, so that nothing is left running. */

import { CarportError } from '../errors.js';

/** Signals that want this process to end. */
export const INTERRUPTS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The error of work that a signal has stopped. */
export function interruptedBy(signal: NodeJS.Signals): CarportError {
  return new CarportError('E_INTERRUPTED', `stopped by ${signal}`, {
    hint: 'run the same command again: it does what is left',
  });
}

/** What interrupts stop. One listener does for all: Node warns of more than ten. */
const waiting = new Set<AbortController>();

/** Who takes interrupts, and lets programs that others wait for end by themselves. */
let takers = 0;

function stopAll(signal: NodeJS.Signals): void {
  if (takers > 0) return;
  for (const controller of waiting) controller.abort(interruptedBy(signal));
}

/** A signal that is aborted by interrupts, with `E_INTERRUPTED`, and when `outer` is; `release` when nothing waits for it any more. */
export function abortedByInterrupts(outer: AbortSignal | undefined): {
  readonly signal: AbortSignal;
  release(): void;
} {
  const controller = new AbortController();
  const follow = () => controller.abort(outer!.reason);
  if (outer?.aborted) follow();
  outer?.addEventListener('abort', follow, { once: true });
  if (waiting.size === 0) for (const name of INTERRUPTS) process.on(name, stopAll);
  waiting.add(controller);
  return {
    signal: controller.signal,
    release() {
      outer?.removeEventListener('abort', follow);
      waiting.delete(controller);
      if (waiting.size === 0) for (const name of INTERRUPTS) process.off(name, stopAll);
    },
  };
}

/** Interrupts are for somebody else until the function that this gives is called: they stop no programs. */
export function takeInterrupts(): () => void {
  takers++;
  return () => void takers--;
}
