import { BUCKET_TRAITS, type ListOptions, type WriteStore } from '#lib/object-store/object-store.js';

/** A store of keys that have no content, as a bucket would list them; tells how many pages were asked for. */
export function createKeyStore(keys: readonly string[], pageSize = 1000) {
  let left = [...keys].sort();
  const calls = { pages: 0, removed: [] as number[] };
  const objects: WriteStore = {
    ...{ url: 's3://keys', traits: BUCKET_TRAITS, localFile: () => undefined, now: async () => new Date(0) },
    copy: () => Promise.reject(new Error('it takes nothing')),
    alias: () => Promise.reject(new Error('it takes nothing')),
    removeUnfinished: async () => 0,
    spoolName: () => Promise.reject(new Error('it takes nothing')),
    read: async () => undefined,
    stat: async () => undefined,
    open: async () => undefined,
    put: () => Promise.reject(new Error('it takes nothing')),
    async *list({ prefix = '', recursive = false }: ListOptions) {
      const found = left.filter(
        (key) => key.startsWith(prefix) && (recursive || !key.slice(prefix.length).includes('/')),
      );
      calls.pages++;
      for (const [at, key] of found.entries()) {
        if (at > 0 && at % pageSize === 0) calls.pages++;
        yield { key, size: key.length, modified: new Date(0) };
      }
    },
    async remove(gone) {
      calls.removed.push(gone.length);
      left = left.filter((key) => !gone.includes(key));
    },
    async close() {},
  };
  return { objects, calls, keys: () => left };
}
