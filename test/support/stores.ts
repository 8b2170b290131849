import { afterEach } from 'vitest';
import { parseCacheUrl } from '#cache/cache-url.js';
import { type OpenCache, type OpenOptions, openCache } from '#cache/open.js';
import { asWritable, type WriteStore } from '#lib/object-store/object-store.js';
import { createSandbox, type Sandbox } from './sandbox.js';

export interface StoreOptions extends Partial<OpenOptions> {
  readonly env?: NodeJS.ProcessEnv;
}

/** Opens caches as carport does, with state and home of nobody, and closes them together. */
export interface OpenStores {
  open(url: string, options?: StoreOptions): OpenCache;
  readonly box: Sandbox;
  remove(): Promise<void>;
}

/** The store of a cache that is a bucket or a directory. */
export function writable({ objects }: OpenCache): WriteStore {
  return asWritable(objects, 'and no bucket');
}

export async function createStores(): Promise<OpenStores> {
  const box = await createSandbox();
  const opened: OpenCache[] = [];
  return {
    box,
    open(url, { env, ...options } = {}) {
      const cache = openCache(parseCacheUrl(url), {
        ...{ signal: new AbortController().signal, ...options },
        env: { ...box.env, ...env },
      });
      opened.push(cache);
      return cache;
    },
    async remove() {
      await Promise.all(opened.map(({ objects }) => objects.close()));
      await box.remove();
    },
  };
}

/** The same for each test of the file or `describe` that calls this; closed after it. */
export function useStores(): () => Promise<OpenStores> {
  const made: OpenStores[] = [];
  afterEach(async () => {
    await Promise.all(made.splice(0).map((stores) => stores.remove()));
  });
  return async () => {
    const stores = await createStores();
    made.push(stores);
    return stores;
  };
}
