import { type CacheUrl, parseCacheUrl } from './cache-url.js';
import { openFileStore } from './object-store/file.js';
import type { ObjectStore } from './object-store/object-store.js';

export interface OpenCache {
  readonly url: CacheUrl;
  readonly objects: ObjectStore;
}

/** Opens what a cache's URL names. Nothing is read yet. */
export function openCache(text: string): OpenCache {
  const url = parseCacheUrl(text);
  return { url, objects: openFileStore(url.root) };
}
