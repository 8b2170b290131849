/** The two signals that end a server: the first lets it finish, the second does not. */

import { INTERRUPTS, takeInterrupts } from '../../lib/process/interrupts.js';

/** What a shell calls the end by SIGINT. */
const INTERRUPTED = 130;

export interface EndSignals {
  /** Settles at the first signal. */
  readonly first: Promise<NodeJS.Signals>;
  /** Signals have their usual meaning again. */
  release(): void;
}

/** Takes signals; the second ends the process at once. */
export function awaitEndSignals(): EndSignals {
  let taken = (_: NodeJS.Signals) => {};
  const first = new Promise<NodeJS.Signals>((resolve) => {
    taken = resolve;
  });
  let hasCome = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (hasCome) process.exit(INTERRUPTED);
    hasCome = true;
    taken(signal);
  };
  // What is asked for now may still need an answer of a program.
  const giveBack = takeInterrupts();
  for (const signal of INTERRUPTS) process.on(signal, onSignal);
  return {
    first,
    release() {
      for (const signal of INTERRUPTS) process.off(signal, onSignal);
      giveBack();
    },
  };
}
