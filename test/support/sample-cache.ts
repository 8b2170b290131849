import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll } from 'vitest';
import { renderPublicKey, renderSecretKey, type SecretKey } from '#lib/signing/key.js';
import { copyCache, createSampleStore, type SampleStore, sampleKey } from './samples.js';
import { type KeyFile, type Sandbox, useSandbox } from './sandbox.js';
import { createTransfers, type Transfers } from './transfers.js';

/** A store of samples, and a cache that has all of it, signed by one key. */
export interface SampleCache {
  /** Where both are; for all tests of the file. */
  readonly shared: Sandbox;
  readonly samples: SampleStore;
  readonly transfers: Transfers;
  readonly key: SecretKey;
  readonly keyFile: KeyFile;
  /** The cache itself: tests read it, or take a copy to spoil. */
  readonly cache: string;
  copy(to: string): Promise<string>;
}

/** Makes it once for all tests of the file or `describe` that calls this. */
export function useSampleCache(key = sampleKey('test-1')): () => SampleCache {
  const shared = useSandbox('all');
  let made: SampleCache | undefined;
  beforeAll(async () => {
    const transfers = createTransfers();
    const samples = await createSampleStore(shared().root);
    const cache = shared().path('cache');
    const file = shared().path('key.sec');
    await writeFile(file, renderSecretKey(key), { mode: 0o600 });
    await transfers.push({ store: samples.root, roots: [samples.top.path], cache, keys: [key] });
    const keyFile = { file, publicKey: renderPublicKey(key.publicKey) };
    const copy = (to: string) => copyCache(cache, to);
    made = { shared: shared(), samples, transfers, key, keyFile, cache, copy };
  });
  afterAll(() => made?.transfers.close());
  return () => made!;
}
