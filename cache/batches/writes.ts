/** Batches that are written beside other work, which waits for them however it ends: nothing is written once a lease has gone. */

/** Writes that go on. */
export interface Writes {
  begin(write: () => Promise<void>): void;
  /** Waits for `work`, and for what has been begun by then, also where some of it fails; then fails as the first that did. */
  finish(work: Promise<unknown>): Promise<void>;
}

/** Begins with none. */
export function createWrites(): Writes {
  const begun: Promise<void>[] = [];
  return {
    begin(write) {
      const written = write();
      // Whoever waits for it is told.
      written.catch(() => undefined);
      begun.push(written);
    },
    async finish(work) {
      try {
        await work;
      } finally {
        await Promise.allSettled(begun);
      }
      await Promise.all(begun);
    },
  };
}
