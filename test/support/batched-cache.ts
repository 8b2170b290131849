import { inBatch } from '#cache/batches/field.js';
import { createBatchWriter } from '#cache/batches/write.js';
import { writeCacheInfo } from '#cache/binary-cache.js';
import { narInfoKey } from '#cache/layout.js';
import { type NarInfo, renderNarInfo } from '#lib/nix/narinfo.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { type MemoryObjects, openMemoryStore } from '#lib/object-store/memory.js';
import type { SecretKey } from '#lib/signing/key.js';
import { signPath } from '#lib/signing/signature.js';
import { type StoreCall, watchStore } from './watched-store.js';

const TEXT = { contentType: 'text/plain' };

/** The narinfo of a path that nobody has. */
export function fakeNarInfo(info: PathInfo, keys: readonly SecretKey[]): NarInfo {
  const file = { url: `nar/${hashPartOf(info.path)}.nar`, compression: 'none', fileHash: info.narHash, fileSize: 100 };
  return { ...info, ...file, unknownFields: [], signatures: keys.map((key) => signPath(info, key)) };
}

/** A cache in memory to which these closures were pushed one after another, as a push writes it, and what it is asked. */
export async function createBatchedCache(
  pushes: readonly (readonly PathInfo[])[],
  keys: readonly SecretKey[],
  before?: (call: StoreCall) => Promise<void> | void,
) {
  const content: MemoryObjects = new Map();
  const store = openMemoryStore(content, { url: 's3://batched' });
  await writeCacheInfo(store, { storeDir: '/nix/store' });
  for (const infos of pushes) {
    const names = keys.map(({ name }) => name);
    const batches = createBatchWriter(infos, names, { objects: store, emit: () => undefined });
    for (const info of infos) {
      const text = renderNarInfo(inBatch(fakeNarInfo(info, keys), batches.batchOf(info.path)));
      await store.put(`nar/${hashPartOf(info.path)}.nar`, Buffer.alloc(100), TEXT);
      await store.put(narInfoKey(hashPartOf(info.path)), Buffer.from(text), TEXT);
      batches.add(info.path, text);
    }
    await batches.finish();
  }
  const { objects, calls } = watchStore(store, before);
  return {
    ...{ content, store, objects, calls },
    /** Narinfos, and batches, that were asked for. */
    asked: () => ({
      narInfos: calls.filter((call) => call.endsWith('.narinfo')).length,
      batches: calls.filter((call) => call.startsWith('read carport/batches/')).length,
    }),
    batchKeys: () => [...content.keys()].filter((key) => key.startsWith('carport/batches/')),
  };
}
