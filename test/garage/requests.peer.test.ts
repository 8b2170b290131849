import { createHash } from 'node:crypto';
import pLimit from 'p-limit';
import { beforeAll, expect, it } from 'vitest';
import { writeCacheInfo, writeNarInfo } from '#cache/binary-cache.js';
import { parseCacheUrl } from '#cache/cache-url.js';
import { openCache } from '#cache/open.js';
import { hashBytes } from '#lib/nix/hash.js';
import type { NarInfo } from '#lib/nix/narinfo.js';
import { signPath } from '#lib/signing/signature.js';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { createWorkerPool } from '#lib/workers/pool.js';
import { openBucket } from '../support/bucket.js';
import { writeTree } from '../support/files.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { useGarageRuns } from '../support/garage-runs.js';
import { infoOf, writerOf } from '../support/own-store.js';
import { useProxy } from '../support/proxy.js';
import { createLargeStore, sampleKey } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';
import { writable } from '../support/stores.js';

const CLOSURE = 2001;
const CACHE = 10_000;

describeWithGarage('the requests', () => {
  const box = useSandbox('all');
  const garage = useGarage();
  const proxy = useProxy(() => garage().nodes[0]!.s3Endpoint);
  const carport = useGarageRuns(box, garage);
  let large: Awaited<ReturnType<typeof createWideStore>>;
  let key: KeyFile;
  /** Has the closure among many others, all but `top`. */
  let bucket: string;
  beforeAll(async () => {
    large = await createWideStore(box().path('wide-store'), CLOSURE);
    key = await box().makeKey('test-1');
    bucket = await garage().freshBucket();
    await fill(bucket, CACHE - CLOSURE);
  });

  /** Narinfos of paths that nobody has, straight into the bucket. */
  const fill = async (name: string, count: number) => {
    const signal = new AbortController().signal;
    const { objects } = openCache(parseCacheUrl(garage().url(name)), { env: garage().env, signal });
    await writeCacheInfo(objects, { storeDir: '/nix/store' });
    const limit = pLimit(96);
    const other = sampleKey('other-1');
    const puts = Array.from({ length: count }, (_, index) =>
      limit(async () => {
        const info = madeUp(index);
        await writeNarInfo(objects, { ...info, signatures: [signPath(info, other)] });
      }),
    );
    await Promise.all(puts);
    await objects.close();
  };

  interface Counted {
    readonly requests: number;
    readonly gets: number;
    readonly lists: number;
    readonly puts: number;
    readonly stderr: string;
  }

  const pushAnd = async (args: readonly string[], to = bucket, input = ''): Promise<Counted> => {
    proxy().reset();
    const url = garage().url(to, { endpoint: proxy().url });
    const common = ['--store', large.root, '--to', url, '--secret-key', key.file];
    const { stderr } = await carport.succeed(['push', ...args, ...common], { input });
    // What a busy server refuses is sent again.
    const requests = proxy()
      .requests()
      .filter(({ status }) => status !== undefined && status < 500);
    const lists = requests.filter(({ path }) => path.includes('list-type=2')).length;
    const asked = requests.filter(({ method }) => method === 'GET' || method === 'HEAD').length;
    const puts = requests.filter(({ method }) => method === 'PUT').length;
    return { requests: requests.length, gets: asked - lists, lists, puts, stderr };
  };

  it('of a first push list instead of asking for each path', async () => {
    const firstPush = await pushAnd([large.top]);
    expect(firstPush.stderr).toContain(`${CLOSURE} to upload`);
    expect(firstPush.gets).toBeLessThanOrEqual(6);
    expect(firstPush.lists).toBeLessThanOrEqual(CACHE / 1000 + 4);
    // NAR and narinfo: small ones of many have no listing. The lease is written now and then, and perhaps the root again.
    expect(firstPush.puts).toBeGreaterThan(2 * CLOSURE);
    expect(firstPush.puts).toBeLessThanOrEqual(2 * CLOSURE + 10);
    const keys = [...(await openBucket(garage(), bucket).objects()).keys()];
    expect(keys.filter((each) => each.endsWith('.narinfo')).length).toBe(CACHE);
  });

  // The description, the narinfo of the root, and its NAR; the lease and its end, garbage collections, the root made young.
  it.each([2001, 71, 12, 1])('of a push of what is there are eight, from one root, path %i', async (number) => {
    const { requests, puts, stderr } = await pushAnd([large.paths[number - 1]!]);
    expect(stderr).toContain('0 to upload');
    expect([requests, puts]).toEqual([8, 2]);
  });

  it('of a push of what is there are eight, with every path given', async () => {
    const { requests } = await pushAnd(['-'], bucket, `${[...large.paths].reverse().join('\n')}\n`);
    expect(requests).toBe(8);
  });

  it('of a push of what is there are four for each of a few roots', async () => {
    // None of them needs another.
    const { requests, lists } = await pushAnd(large.paths.slice(-8, -1));
    expect([requests, lists]).toEqual([4 + 4 * 7, 1]);
  });

  it('of a push that looks at everything ask for each path', async () => {
    const { gets, lists, puts } = await pushAnd([large.top, '--check-all']);
    expect(gets).toBeGreaterThanOrEqual(CLOSURE);
    // The description, each narinfo, and each NAR; garbage collections, the root made young, the lease.
    expect(gets + lists).toBeLessThanOrEqual(2 * CLOSURE + 3);
    expect(puts).toBeLessThanOrEqual(6);
  });

  it('of a push into an empty cache are few before it sends, and of a pull from it one for each path', async () => {
    const empty = await garage().freshBucket();
    const root = large.paths[1500]!;
    const { gets, lists } = await pushAnd([root], empty);
    expect(gets + lists).toBeLessThanOrEqual(7);
    proxy().reset();
    const from = garage().url(empty, { endpoint: proxy().url });
    const to = ['--store', box().path('pulled'), '--trusted-key', key.publicKey];
    const { lines } = await carport.succeed(['pull', root, '--from', from, ...to]);
    expect(lines.length).toBeGreaterThan(100);
    const asked = proxy()
      .requests()
      .map(({ path }) => path);
    // Each NAR; the description, the narinfo of the root, the batch with the others; what had to be asked for again.
    expect(asked.length).toBeLessThanOrEqual(lines.length + 15);
    expect(asked.filter((path) => path.includes('/carport/batches/')).length).toBeGreaterThan(0);
  });

  it('of a push whose root alone is missing are few', async () => {
    const { signal } = new AbortController();
    const objects = writable(openCache(parseCacheUrl(garage().url(bucket)), { env: garage().env, signal }));
    await objects.remove([`${large.top.slice(11, 43)}.narinfo`]);
    await objects.close();
    const { gets, lists, puts, stderr } = await pushAnd([large.top]);
    expect(stderr).toContain('1 to upload');
    expect(puts).toBeLessThanOrEqual(6);
    expect(gets + lists).toBeLessThanOrEqual(28);
  });
});

describeWithGarage('paths that another cache has signed', () => {
  const box = useSandbox('all');
  const garage = useGarage();
  const carport = useGarageRuns(box, garage);

  it('are left out, and a pull from both caches is whole', async () => {
    const large = await createLargeStore(box().root, [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
    const [upstreamKey, key] = [await box().makeKey('cache.nixos.org-1'), await box().makeKey('test-1')];
    const [upstream, bucket] = [await garage().freshBucket(), await garage().freshBucket()];
    const [from, to] = [garage().url(upstream), garage().url(bucket)];
    // A store that got some of its paths from upstream has their signatures.
    const dependency = large.paths[9]!;
    const fromStore = ['--store', large.root];
    await carport.succeed(['push', dependency, ...fromStore, '--to', from, '--secret-key', upstreamKey.file]);
    const store = box().path('mixed');
    const trusted = ['--trusted-key', upstreamKey.publicKey, '--trusted-key', key.publicKey];
    const { lines: theirs } = await carport.succeed(['pull', dependency, '--from', from, '--store', store, ...trusted]);
    const rest = box().path('rest');
    await carport.succeed(['push', large.top, ...fromStore, '--to', rest, '--secret-key', key.file]);
    await carport.succeed(['pull', large.top, '--from', rest, '--store', store, ...trusted]);

    const skipping = ['--skip-signed-by', 'cache.nixos.org-1'];
    const args = ['push', large.top, '--store', store, '--to', to, '--secret-key', key.file];
    const { lines } = await carport.succeed([...args, ...skipping]);
    expect([...lines].sort()).toEqual([...large.paths].sort());
    const pushed = (await carport.succeed(['cache', 'ls', to])).lines;
    expect([...pushed, ...theirs].sort()).toEqual([...large.paths].sort());
    expect(theirs.length).toBeGreaterThan(1);
    expect(pushed.length).toBeGreaterThan(1);

    const again = await carport.succeed([...args, ...skipping]);
    expect(again.stderr).toContain(' 0 to upload');

    const pulled = box().path('pulled');
    const pull = ['pull', large.top, '--from', to, '--store', pulled, ...trusted];
    expect((await carport.run(pull)).exitCode).toBe(5);
    await carport.succeed([...pull, '--from', from]);
    const { stderr } = await box().succeed(['store', 'verify', '--store', pulled]);
    expect(stderr).toBe(`${large.paths.length} paths checked, all whole\n`);

    // Without the option they are missed.
    const all = [...args, '--no-skip-upstream'];
    expect((await carport.succeed(all)).stderr).toContain(`${theirs.length} to upload`);
    await carport.succeed([...pull.map((each) => (each === pulled ? box().path('pulled-from-one') : each))]);
    expect((await carport.succeed(all)).stderr).toContain(' 0 to upload');
  });
});

/** As `createLargeStore`, but quickly: nothing is looked for in the files. */
async function createWideStore(root: string, count: number) {
  const pool = createWorkerPool(1);
  try {
    const store = openOwnStore(root);
    const writer = await writerOf(store, pool);
    const paths: string[] = [];
    for (let index = 0; index < count; index++) {
      const references = index === count - 1 ? [...paths] : paths.filter((_, at) => at % 7 === index % 7).slice(-3);
      const tree = {
        type: 'regular',
        executable: false,
        contents: Buffer.from(`${index}\n${references.join('\n')}`),
      } as const;
      const info = infoOf(`part-${index}`, tree, references);
      const temporary = writer.temporaryName();
      writeTree(temporary, tree);
      await writer.place(temporary, info);
      paths.push(info.path);
    }
    return { root, paths, top: paths.at(-1)! };
  } finally {
    await pool.close();
  }
}

function madeUp(index: number): NarInfo {
  // As store paths are: hash parts that are spread evenly, in Nix's base 32.
  const digits = [...createHash('sha256').update(`${index}`).digest()].map((byte) => NIX32[byte % 32]);
  const hash = hashBytes('sha256', `${index}`);
  return {
    ...{ path: `/nix/store/${digits.join('')}-made-up-${index}`, narHash: hash, narSize: 100, references: [] },
    ...{ url: `nar/${digits.join('')}.nar`, compression: 'none', fileHash: hash, fileSize: 100 },
    ...{ signatures: [], unknownFields: [] },
  };
}

const NIX32 = '0123456789abcdfghijklmnpqrsvwxyz';
