import { describeWithGarage, useGarage } from '../../support/garage.js';
import { nginxMissing, startNginx } from '../../support/nginx.js';
import { describeWithPeer } from '../../support/peers.js';
import { startProxy } from '../../support/proxy.js';
import type { Fault } from '../../support/proxy-faults.js';
import { createStores } from '../../support/stores.js';
import { describeObjectStore, type StoreUnderTest } from './conformance.js';

const FAULTS: Fault[] = [
  ...[{ status: 500 }, { status: 503, retryAfter: 0, readBody: true }, { status: 429, readBody: true }],
  ...(['reset-before', 'reset-after', 'reset-midway', 'truncate'] as const),
];
const CHAOS = { seed: 5, probability: 0.15, timesEach: 3, faults: FAULTS };

describeWithPeer(await nginxMissing(), 'a web server that takes PUT', () => {
  const create = async (isFailing: boolean): Promise<StoreUnderTest> => {
    const stores = await createStores();
    const { path } = stores.box;
    const nginx = await startNginx({ root: path('served'), directory: path('nginx') });
    const proxy = await startProxy(nginx.url);
    if (isFailing) proxy.chaos(CHAOS);
    const open = () => stores.open(`${isFailing ? proxy.url : nginx.url}/some/cache`).objects;
    return {
      objects: open(),
      reopen: open,
      async remove() {
        await proxy.close();
        await nginx.stop();
        await stores.remove();
      },
    };
  };
  describeObjectStore('nginx', () => create(false));
  describeObjectStore('nginx that fails', () => create(true));
});

describeWithGarage('the website of a bucket', () => {
  const garage = useGarage();

  /** What is put by S3 is read by HTTP. */
  const create = async (isFailing: boolean): Promise<StoreUnderTest> => {
    const bucket = await garage().freshBucket();
    const stores = await createStores();
    const website = await garage().serve(bucket);
    const proxy = await startProxy(website);
    if (isFailing) proxy.chaos(CHAOS);
    const url = isFailing ? `http://localhost:${proxy.port}` : website;
    const open = () => {
      const writer = stores.open(garage().url(bucket), { env: garage().env }).objects;
      const { read, stat, open, close } = stores.open(url).objects;
      return { ...writer, read, stat, open, close: () => Promise.all([close(), writer.close()]).then(() => undefined) };
    };
    const metadataOf = async (key: string) => {
      const { headers } = await fetch(`${website}/${key}`, { method: 'HEAD' });
      const [cacheControl, contentDisposition] = ['cache-control', 'content-disposition'].map((name) =>
        headers.get(name),
      );
      return {
        contentType: headers.get('content-type')!,
        ...(cacheControl && { cacheControl }),
        ...(contentDisposition && { contentDisposition }),
      };
    };
    const objects = open();
    return {
      objects,
      visit: async (key) => (await objects.read(key, 1000))?.toString(),
      reopen: open,
      metadataOf,
      remove: () => stores.remove().finally(() => proxy.close()),
    };
  };
  describeObjectStore('Garage', () => create(false));
  describeObjectStore('Garage that fails', () => create(true));
});
