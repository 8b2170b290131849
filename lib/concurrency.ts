/** Work that goes on at once, and how it ends. */

/** Waits until all work has ended, also when some of it fails; then fails as the first that failed. Nothing goes on behind. */
export async function allDone<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
