/** A store that tells what it is asked. */

import type { WriteStore } from '../object-store.js';
import { decorateStore, type StoreOperation } from './operations.js';

/** What is told of an operation. What `before` throws is thrown in its place. */
export interface StoreWatcher {
  before?(operation: StoreOperation): Promise<void> | void;
  /** Comes when it is done, and not when it has failed. */
  after?(operation: StoreOperation): Promise<void> | void;
}

/** Tells of every operation before and after it, and waits for who is told. */
export function watchedStore(store: WriteStore, { before, after }: StoreWatcher): WriteStore {
  return decorateStore(store, async (operation, run) => {
    await before?.(operation);
    const result = await run();
    await after?.(operation);
    return result;
  });
}
