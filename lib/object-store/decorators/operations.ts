/** What all decorators of stores have in common: one function is around every operation. */

import type { WriteStore } from '../object-store.js';

/** An operation of a store that asks or changes something in it. */
export interface StoreOperation {
  readonly method: 'read' | 'stat' | 'open' | 'list' | 'put' | 'copy' | 'alias' | 'remove' | 'removeUnfinished' | 'now';
  /** What it reads or changes: one key, those to remove, the prefix of a listing, or none. */
  readonly keys: readonly string[];
  /** What it copies. */
  readonly from?: string;
}

/** Does an operation, and more before, after or instead. A `list` is done when its listing begins. */
export type AroundOperation = <T>(operation: StoreOperation, run: () => Promise<T>) => Promise<T>;

/** The store, with `around` around every operation. Those of a handle alone, `close` and `spoolName`, are as they are. */
export function decorateStore(store: WriteStore, around: AroundOperation): WriteStore {
  return {
    ...store,
    // What is around every operation would not be around this.
    placeOf: undefined,
    read: (key, limit) => around({ method: 'read', keys: [key] }, () => store.read(key, limit)),
    stat: (key) => around({ method: 'stat', keys: [key] }, () => store.stat(key)),
    open: (key, range) => around({ method: 'open', keys: [key] }, () => store.open(key, range)),
    put: (key, body, metadata) => around({ method: 'put', keys: [key] }, () => store.put(key, body, metadata)),
    ...(store.takeServed && {
      takeServed: (from, to) =>
        around({ method: 'copy', keys: [to], from: from.key }, () => store.takeServed!(from, to)),
    }),
    copy: (from, to) => around({ method: 'copy', keys: [to], from }, () => store.copy(from, to)),
    alias: (from, to, options) => around({ method: 'alias', keys: [to], from }, () => store.alias(from, to, options)),
    remove: (keys) => around({ method: 'remove', keys }, () => store.remove(keys)),
    removeUnfinished: (prefix) =>
      around({ method: 'removeUnfinished', keys: [prefix] }, () => store.removeUnfinished(prefix)),
    now: () => around({ method: 'now', keys: [] }, () => store.now()),
    async *list(options) {
      yield* await around({ method: 'list', keys: [options.prefix ?? ''] }, async () => store.list(options));
    },
  };
}

/** Whether an operation changes what others see. */
export function isChange({ method }: StoreOperation): boolean {
  return ['put', 'copy', 'alias', 'remove'].includes(method);
}
