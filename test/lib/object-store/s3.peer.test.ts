import { HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { describe } from 'vitest';
import { describeWithGarage, useGarage } from '../../support/garage.js';
import { startProxy } from '../../support/proxy.js';
import type { Chaos, Fault } from '../../support/proxy-faults.js';
import { createStores } from '../../support/stores.js';
import { describeObjectStore, type StoreUnderTest } from './conformance.js';

const MIB = String(1024 * 1024);
const PARTS = { 'multipart-threshold': MIB, 'multipart-chunk-size': MIB };

describeWithGarage('on a real Garage', () => {
  const garage = useGarage();

  /** Buckets with many objects, by prefix. */
  const filled = new Map<string, Promise<string>>();
  const fill = async (prefix: string, keys: readonly string[]) => {
    const bucket = await garage().freshBucket();
    const stores = await createStores();
    const { objects } = stores.open(garage().url(bucket).replace('?', `${prefix}?`), { env: garage().env });
    await Promise.all(keys.map((key) => objects.put(key, Buffer.from(key), { contentType: 'text/plain' })));
    await stores.remove();
    return bucket;
  };
  const create = async (params: Readonly<Record<string, string>>, prefix = ''): Promise<StoreUnderTest> => {
    const bucket = await garage().freshBucket();
    const stores = await createStores();
    const open = (name = bucket) =>
      stores.open(garage().url(name, params).replace('?', `${prefix}?`), { env: garage().env }).objects;
    let website: Promise<string> | undefined;
    return {
      objects: open(),
      reopen: () => open(),
      async filled(keys) {
        if (!filled.has(prefix)) filled.set(prefix, fill(prefix, keys));
        return open(await filled.get(prefix));
      },
      metadataOf: (key) => headOf(bucket, `${prefix.slice(1)}${prefix && '/'}${key}`),
      async visit(key) {
        website ??= garage().serve(bucket);
        return visitWebsite(await website, `${prefix.slice(1)}${prefix && '/'}${key}`);
      },
      remove: () => stores.remove(),
    };
  };
  const headOf = async (Bucket: string, Key: string) => {
    const { region, credentials, nodes } = garage();
    const client = new S3Client({ region, credentials, endpoint: nodes[0]!.s3Endpoint, forcePathStyle: true });
    const head = await client.send(new HeadObjectCommand({ Bucket, Key }));
    client.destroy();
    return {
      contentType: head.ContentType!,
      ...(head.CacheControl !== undefined && { cacheControl: head.CacheControl }),
      ...(head.ContentDisposition !== undefined && { contentDisposition: head.ContentDisposition }),
    };
  };

  /** A server that fails often, in ways that a retry mends. */
  const createFailing = async (chaos: Chaos, params: Readonly<Record<string, string>>): Promise<StoreUnderTest> => {
    const proxy = await startProxy(garage().nodes[0]!.s3Endpoint);
    proxy.chaos(chaos);
    const test = await create({ endpoint: proxy.url, ...params });
    return { ...test, remove: () => test.remove().finally(() => proxy.close()) };
  };

  describeObjectStore('a bucket', () => create({}));
  describeObjectStore('a directory of a bucket', () => create({}, '/some/where'));
  describeObjectStore('a bucket with uploads in parts', () => create(PARTS));

  describe('behind a server that fails in every way', () => {
    const refusals: Fault[] = [
      ...[{ status: 500 }, { status: 503, retryAfter: 0, readBody: true }, { status: 429, readBody: true }],
      { status: 502, body: '<html>Bad Gateway</html>', readBody: true },
    ];
    const breaks: Fault[] = ['reset-before', 'reset-after', 'reset-midway', 'truncate'];
    const flips: Fault[] = [0, 99, 99_999].map((flip) => ({ flip, direction: 'up' }));
    const chaos = { faults: [...refusals, ...breaks, ...flips], probability: 0.2, timesEach: 3 };
    describeObjectStore('a bucket', () => createFailing({ seed: 1, ...chaos }, {}));
    describeObjectStore('a bucket with uploads in parts', () => createFailing({ seed: 2, ...chaos }, PARTS));
  });
});

/** As a browser does, which follows redirects. */
async function visitWebsite(website: string, key: string): Promise<string | undefined> {
  const response = await fetch(`${website}/${key.split('/').map(encodeURIComponent).join('/')}`);
  return response.status === 404 ? undefined : response.text();
}
