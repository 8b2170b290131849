/** A store whose operations wait for their turn, so that a seed decides how those of several processes interleave. */

import type { WriteStore } from '../object-store.js';
import { decorateStore, type StoreOperation } from './operations.js';

/** Decides who goes on. */
export interface Scheduler {
  /** Resolves when it is the turn of an operation of this actor, such as one of several processes. */
  turn(actor: string, operation: StoreOperation): Promise<void>;
}

/**
 * Has each operation wait for its turn, and once more before its caller gets the answer: between an operation and what
 * follows from it others may act.
 */
export function delayedStore(store: WriteStore, actor: string, scheduler: Scheduler): WriteStore {
  return decorateStore(store, async (operation, run) => {
    await scheduler.turn(actor, operation);
    const result = await run();
    await scheduler.turn(actor, operation);
    return result;
  });
}
