/** A store in which operations fail, or whose process ends, where its maker wants it. */

import type { WriteStore } from '../object-store.js';
import { decorateStore, type StoreOperation } from './operations.js';

/**
 * How an operation fails: before it was done, after it was done (an answer that is lost), or with the process: nothing is
 * done by this handle from then on.
 */
export type StoreFault = 'before' | 'after' | 'killed';

/** The error of an operation that failed on purpose. It is none of carport's, as that of a process that ends is none. */
class StoreFaultError extends Error {
  override readonly name = 'StoreFaultError';

  constructor(
    readonly fault: StoreFault,
    readonly operation: StoreOperation,
  ) {
    super(`${fault === 'after' ? 'lost the answer of' : fault} ${operation.method} ${operation.keys.join(' ')}`.trim());
  }
}

/** Asks `faultOf` at each operation how it shall fail; `undefined` when it shall not. */
export function faultyStore(
  store: WriteStore,
  faultOf: (operation: StoreOperation) => StoreFault | undefined,
): WriteStore {
  let isKilled = false;
  return decorateStore(store, async (operation, run) => {
    const fault = isKilled ? 'killed' : faultOf(operation);
    isKilled ||= fault === 'killed';
    if (fault === 'before' || fault === 'killed') throw new StoreFaultError(fault, operation);
    const result = await run();
    if (fault === 'after') throw new StoreFaultError(fault, operation);
    return result;
  });
}
