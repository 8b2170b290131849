import { type MemoryObjects, openMemoryStore } from '#lib/object-store/memory.js';
import type { WriteStore } from '#lib/object-store/object-store.js';

const FIRST = { metadata: { contentType: 'text/plain' }, modified: new Date(0), etag: '0'.repeat(32) };

/** A store of keys, each of which has itself as its content; tells how many pages were asked for. */
export function createKeyStore(keys: readonly string[]) {
  const content: MemoryObjects = new Map(keys.map((key) => [key, { ...FIRST, bytes: Buffer.from(key) }]));
  const calls = { pages: 0, removed: [] as number[] };
  const store = openMemoryStore(content, { url: 's3://keys', beforePage: () => void calls.pages++ });
  const objects: WriteStore = {
    ...store,
    async remove(gone) {
      calls.removed.push(gone.length);
      await store.remove(gone);
    },
  };
  return { objects, calls, keys: () => [...content.keys()] };
}
