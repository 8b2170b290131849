/** Gathers small work that is asked for piece by piece: a thread is given many pieces at a time, and not a message each. */

/** Pieces that a thread is given at a time: it takes some milliseconds for them. */
const BATCH = 32;
/** Batches that a thread has: it need not wait for the main thread. */
const BATCHES = 2;

interface Waiting<T, R> {
  readonly piece: T;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

/** Does pieces of work in `threads` threads, in the order of calls. `work` does a batch, and gives what came of each. */
export function createBatches<T, R>(
  threads: number,
  work: (batch: readonly T[]) => Promise<readonly R[]>,
): (piece: T) => Promise<R> {
  const queue: Waiting<T, R>[] = [];
  let running = 0;

  const dispatch = (): void => {
    while (queue.length > 0 && running < threads * BATCHES) {
      running++;
      void run(queue.splice(0, Math.min(BATCH, Math.ceil(queue.length / threads))));
    }
  };
  const run = async (batch: readonly Waiting<T, R>[]): Promise<void> => {
    try {
      const results = await work(batch.map(({ piece }) => piece));
      batch.forEach(({ resolve }, index) => {
        resolve(results[index]!);
      });
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      running--;
      // What waits for these comes first.
      setImmediate(dispatch);
    }
  };
  return (piece) =>
    new Promise((resolve, reject) => {
      queue.push({ piece, resolve, reject });
      // What is asked for in the same turn goes together.
      if (queue.length === 1) setImmediate(dispatch);
    });
}
