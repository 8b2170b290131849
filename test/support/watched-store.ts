import type { ListOptions, WriteStore } from '#lib/object-store/object-store.js';

/** A request to a store: `put releases/index.json`. */
export type StoreCall = `${'read' | 'put' | 'copy' | 'remove' | 'list'} ${string}`;

/** A store that tells what it is asked, in order, and lets `before` be done, or go wrong, before each request. */
export function watchStore(store: WriteStore, before: (call: StoreCall) => Promise<void> | void = () => {}) {
  const calls: StoreCall[] = [];
  const tell = async (call: StoreCall) => {
    calls.push(call);
    await before(call);
  };
  const objects: WriteStore = {
    ...store,
    async read(key, limit) {
      await tell(`read ${key}`);
      return store.read(key, limit);
    },
    async put(key, body, metadata) {
      await tell(`put ${key}`);
      await store.put(key, body, metadata);
    },
    async alias(from, to, options) {
      await tell(`copy ${to}`);
      return store.alias(from, to, options);
    },
    async remove(keys) {
      for (const key of keys) await tell(`remove ${key}`);
      await store.remove(keys);
    },
    async *list(options: ListOptions) {
      await tell(`list ${options.prefix ?? ''}`);
      yield* store.list(options);
    },
  };
  /** Those that change something. */
  const changes = () => calls.filter((call) => /^(put|copy|remove) /.test(call));
  return { objects, calls, changes };
}
