import { rm } from 'node:fs/promises';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { directoryOf, fileOf, noise } from '../support/files.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { useGarageRuns } from '../support/garage-runs.js';
import { type Nginx, nginxMissing, startNginx } from '../support/nginx.js';
import { placeTree } from '../support/own-store.js';
import { describeWithPeer } from '../support/peers.js';
import { usePool } from '../support/pool.js';
import { type HttpProxy, startProxy } from '../support/proxy.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

/** Of a large path, files far from each other are changed. */
const CHANGED = [60, 240, 420, 600, 780];
const treeOf = (version: number) =>
  directoryOf(
    Object.fromEntries(
      Array.from({ length: 900 }, (_, index) => {
        const bytes = noise(8_000, `${index}`);
        if (version === 2 && CHANGED.includes(index)) bytes.write('changed', 4_000);
        return [`file-${String(index).padStart(4, '0')}`, fileOf(bytes)];
      }),
    ),
  );

describeWithPeer(await nginxMissing(), 'a delta of one large path', () => {
  const box = useSandbox('all');
  const pool = usePool(1);
  let key: KeyFile;
  let before: string;
  let after: string;
  beforeAll(async () => {
    key = await box().makeKey('test-1');
    const store = openOwnStore(box().path('builds'));
    [before, after] = [
      (await placeTree(store, pool, 'large', treeOf(1))).path,
      (await placeTree(store, pool, 'large', treeOf(2))).path,
    ];
  });
  const push = (to: string) =>
    box().succeed(['push', before, after, '--store', box().path('builds'), '--to', to, '--secret-key', key.file]);
  let pulls = 0;

  /** Pulls the one and then the other through a proxy; what the second pull has asked, all of it and by delta. */
  const asked = async (proxy: HttpProxy, from: string, env: Readonly<Record<string, string>> = {}) => {
    const store = box().path(`pulled ${++pulls}`);
    const pull = async (path: string, ...more: readonly string[]) => {
      proxy.reset();
      const options = ['--from', from, '--trusted-key', key.publicKey, '--store', store];
      await box().succeed(['pull', path, ...options, ...more], { env });
      return proxy.requests().map(({ path: url, headers, status, bodyBytesDown }) => {
        const kind = /\.narinfo/.test(url) ? 'narinfo' : /nar\//.test(url) ? 'nar' : 'other';
        const ranges = headers.range?.split(',').length ?? 0;
        return { what: `${kind} ${ranges}`, status, size: bodyBytesDown };
      });
    };
    await pull(before);
    const delta = await pull(after);
    await box().succeed(['store', 'verify', '--store', store]);
    await rm(store, { recursive: true, force: true });
    const whole = await pull(after, '--no-delta');
    return { delta, whole, bytes: delta.reduce((sum, { size }) => sum + size, 0) };
  };
  const whats = (requests: readonly { readonly what: string }[]) => requests.map(({ what }) => what);

  let nginx: Nginx | undefined;
  let proxy: HttpProxy | undefined;
  afterEach(async () => {
    await proxy?.close();
    await nginx?.stop();
    [nginx, proxy] = [undefined, undefined];
  });

  it('takes three requests of nginx: the narinfo, the table, and all ranges', async () => {
    await push(box().path('cache'));
    nginx = await startNginx({ root: box().path('cache'), directory: box().path('nginx') });
    proxy = await startProxy(nginx.url);
    const { delta, whole, bytes } = await asked(proxy, proxy.url);
    expect(whats(delta)).toEqual(['narinfo 2', 'nar 1', `nar ${CHANGED.length}`]);
    expect(whats(whole)).toEqual(['narinfo 0', 'nar 0']);
    expect(delta.every(({ status }) => status === 206)).toBe(true);
    expect(bytes).toBeLessThan(whole[1]!.size / 10);
  });

  it('asks nginx that sends one range only for each by itself, and for none in vain', async () => {
    await push(box().path('cache'));
    nginx = await startNginx({ root: box().path('cache'), directory: box().path('nginx'), lines: 'max_ranges 1;' });
    proxy = await startProxy(nginx.url);
    const { delta, whole, bytes } = await asked(proxy, proxy.url);
    expect(whats(delta)).toEqual(['narinfo 2', 'nar 1', ...CHANGED.map(() => 'nar 1')]);
    expect(bytes).toBeLessThan(whole[1]!.size / 10);
  });

  describeWithGarage('in Garage', () => {
    const garage = useGarage();
    const carport = useGarageRuns(box, garage);
    let bucket: string;
    let website: URL;
    beforeAll(async () => {
      bucket = await garage().freshBucket();
      const to = ['--to', garage().url(bucket), '--store', box().path('builds'), '--secret-key', key.file];
      await carport.succeed(['push', before, after, ...to]);
      website = new URL(await garage().serve(bucket));
    });

    it.each(['website', 's3'] as const)('takes one request of its %s for each range', async (kind) => {
      proxy = await startProxy(kind === 's3' ? garage().nodes[0]!.s3Endpoint : `http://127.0.0.1:${website.port}`);
      const from = kind === 's3' ? garage().url(bucket, { endpoint: proxy.url }) : `http://localhost:${proxy.port}`;
      const { delta, whole, bytes } = await asked(proxy, from, garage().env);
      const first = kind === 's3' ? 'narinfo 0' : 'narinfo 2';
      expect(whats(delta)).toEqual([first, 'nar 1', ...CHANGED.map(() => 'nar 1')]);
      expect(bytes).toBeLessThan(whole[1]!.size / 10);
    });
  });
});
