/** Turns of what only so much may go on of at a time. */

export interface Turns {
  /** Waits for a turn, and gives what ends it. Throws the reason of `signal` when that is aborted meanwhile. */
  take(signal: AbortSignal): Promise<() => void>;
  /** Whether somebody waits for one. */
  areWanted(): boolean;
}

/** Turns in the order of calls, so many at once. */
export function createTurns(atOnce: number): Turns {
  const waiting = new Set<() => void>();
  let taken = 0;
  const end = (): void => {
    taken--;
    const [next] = waiting;
    next?.();
  };
  const once = (work: () => void) => {
    let isDone = false;
    return () => {
      if (!isDone) work();
      isDone = true;
    };
  };
  return {
    areWanted: () => waiting.size > 0,
    async take(signal) {
      signal.throwIfAborted();
      if (taken < atOnce) taken++;
      else {
        await new Promise<void>((resolve, reject) => {
          const begin = () => {
            waiting.delete(begin);
            signal.removeEventListener('abort', leave);
            taken++;
            resolve();
          };
          const leave = () => {
            waiting.delete(begin);
            reject(signal.reason);
          };
          waiting.add(begin);
          signal.addEventListener('abort', leave, { once: true });
        });
      }
      return once(end);
    },
  };
}
