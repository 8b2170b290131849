import type { StoreOperation } from '#lib/object-store/decorators/operations.js';
import { watchedStore } from '#lib/object-store/decorators/watched.js';
import type { WriteStore } from '#lib/object-store/object-store.js';

/** A request to a store that tests look for: `put releases/index.json`. */
export type StoreCall = `${StoreOperation['method']} ${string}`;

const CALLS: readonly StoreOperation['method'][] = ['read', 'put', 'copy', 'alias', 'remove', 'list'];

/** A store that tells what it is asked, in order, and lets `before` be done, or go wrong, before each request. */
export function watchStore(store: WriteStore, before: (call: StoreCall) => Promise<void> | void = () => {}) {
  const calls: StoreCall[] = [];
  const objects = watchedStore(store, {
    async before(operation) {
      if (!CALLS.includes(operation.method)) return;
      for (const key of operation.keys) {
        const call: StoreCall = `${operation.method} ${key}`;
        calls.push(call);
        await before(call);
      }
    },
  });
  /** Those that change something. */
  const changes = () => calls.filter((call) => /^(put|copy|alias|remove) /.test(call));
  return { objects, calls, changes };
}
