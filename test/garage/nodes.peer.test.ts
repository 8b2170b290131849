import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { faultsIn, narInfosIn, openBucket, type TestBucket } from '../support/bucket.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { type StartedRun, useGarageRuns } from '../support/garage-runs.js';
import { useProxy } from '../support/proxy.js';
import { createLargeStore } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

const SIZES = [40_000_000, ...Array.from({ length: 200 }, (_, index) => 100 * index)];

/** Work that waits for a server which is gone has to end so soon after its patience. */
const BOUND_MS = 60_000;

describeWithGarage('three nodes of Garage', () => {
  const box = useSandbox('all');
  const garage = useGarage({ nodes: 3 });
  const proxy = useProxy(() => garage().nodes[0]!.s3Endpoint);
  const carport = useGarageRuns(box, garage);
  let large: Awaited<ReturnType<typeof createLargeStore>>;
  let key: KeyFile;
  let bucket: TestBucket;
  /** A cache that is whole. */
  let full: TestBucket;
  beforeAll(async () => {
    large = await createLargeStore(box().root, SIZES);
    key = await box().makeKey('test-1');
    full = openBucket(garage(), await garage().freshBucket());
    await carport.succeed(pushTo(garage().url(full.name)));
  });
  let disturbed = false;
  beforeEach(async () => {
    if (disturbed) await restart();
    disturbed = false;
    bucket = openBucket(garage(), await garage().freshBucket());
  });
  /** All of them: those that went on would take ten seconds to find one again that was killed. */
  const restart = async () => {
    await kill(0, 1, 2);
    await Promise.all(garage().nodes.map((node) => node.start()));
    await garage().healthy();
  };
  const kill = (...numbers: readonly number[]) => {
    disturbed = true;
    return Promise.all(numbers.map((number) => garage().nodes[number]!.kill('SIGKILL')));
  };

  const pushTo = (to: string, ...more: readonly string[]) => [
    ...['push', large.top, '--store', large.root, '--to', to, '--secret-key', key.file],
    ...more,
  ];
  const pullFrom = (from: string, store: string, ...more: readonly string[]) => [
    ...['pull', large.top, '--from', from, '--trusted-key', key.publicKey, '--store', store],
    ...more,
  ];
  const throughProxy = ({ name }: TestBucket) =>
    garage().url(name, {
      ...{ endpoint: proxy().url, 'multipart-threshold': '1048576', 'multipart-chunk-size': '1048576' },
    });

  /** Until so many requests were answered; the work must go on then. */
  const untilAnswered = async (count: number, run: StartedRun) => {
    let hasEnded = false;
    void run.ended.then(() => {
      hasEnded = true;
    });
    const answered = () =>
      proxy()
        .requests()
        .filter(({ status }) => status !== undefined).length;
    while (answered() < count && !hasEnded) await sleep(5);
    expect(hasEnded, 'it has ended before it could be disturbed').toBe(false);
  };
  const expectDone = async (run: StartedRun) => {
    const { exitCode, stderr, stdout } = await run.ended;
    expect(exitCode, stderr).toBe(0);
    expect(stdout.trimEnd().split('\n').sort()).toEqual([...large.paths].sort());
  };
  const expectWholeCache = async () => {
    expect(await faultsIn(bucket)).toEqual([]);
    expect([...(await narInfosIn(bucket, await bucket.objects())).keys()].sort()).toEqual([...large.paths].sort());
    expect(await bucket.uploads()).toEqual([]);
  };
  const expectWholeStore = async (store: string) => {
    const { stderr } = await box().succeed(['store', 'verify', '--store', store]);
    expect(stderr.split('\n').at(-2)).toBe(`${large.paths.length} paths checked, all whole`);
  };
  it('take a push while another one is killed', async () => {
    const run = carport.start(pushTo(throughProxy(bucket)));
    await untilAnswered(100, run);
    await kill(1);
    await expectDone(run);
    await expectWholeCache();
  });

  it('give a pull while another one is killed', async () => {
    const store = box().path('pulled-beside');
    const run = carport.start(pullFrom(throughProxy(full), store));
    await untilAnswered(80, run);
    await kill(2);
    await expectDone(run);
    await expectWholeStore(store);
  });

  it('take a push and give a pull when the one that is asked was gone for a while', async () => {
    const store = box().path('pulled-again');
    const runs = [
      carport.start(pushTo(throughProxy(bucket))),
      carport.start(pullFrom(throughProxy(full), store)),
    ] as const;
    await Promise.all(runs.map((run) => untilAnswered(150, run)));
    await Promise.all([kill(0), proxy().pause()]);
    await sleep(1000);
    await Promise.all([garage().nodes[0]!.start(), proxy().resume()]);
    // Otherwise the others would look for it ten seconds later.
    await garage().healthy();
    await Promise.all(runs.map(expectDone));
    await Promise.all([expectWholeCache(), expectWholeStore(store)]);
  });

  it('take a push when two were gone for a while', async () => {
    const run = carport.start(pushTo(throughProxy(bucket)));
    await untilAnswered(100, run);
    await kill(1, 2);
    await sleep(1500);
    await garage().nodes[1]!.start();
    await garage().healthy();
    await expectDone(run);
    await expectWholeCache();
  });

  it('that are all stopped end a push in bounded time; the same push completes without sending again', async () => {
    const push = pushTo(throughProxy(bucket), '--retry-seconds', '2');
    const run = carport.start(push);
    await untilAnswered(100, run);
    await Promise.all([kill(0, 1, 2), proxy().pause()]);
    const stopped = performance.now();
    const { exitCode, stderr, stdout } = await run.ended;
    expect(performance.now() - stopped).toBeLessThan(2000 + BOUND_MS);
    expect(exitCode, stderr).toBe(75);
    expect(stderr).toMatch(/^error\[E_UNAVAILABLE\]: `http:\/\/127\.0\.0\.1:\d+` refuses connections$/m);
    expect(stderr).toMatch(/^hint: .*run it again/m);
    expect(stdout).toBe('');

    await restart();
    await proxy().resume();
    expect(await faultsIn(bucket), 'what is visible is complete').toEqual([]);
    const [there, uploads] = [await bucket.objects(), await bucket.uploads()];
    const partsThere = uploads.flatMap(({ parts }) => [...parts.values()]);
    expect(there.size + partsThere.length).toBeGreaterThan(10);
    expect(there.size).toBeLessThan(3 * large.paths.length);

    proxy().reset();
    await expectDone(carport.start(push));
    await expectWholeCache();
    const bodies = proxy()
      .requests()
      .filter(({ method }) => method === 'PUT');
    const keyOf = (path: string) => path.replace(/\?.*/, '').slice(`/${bucket.name}/`.length);
    const narsAgain = bodies.filter(({ path }) => keyOf(path).startsWith('nar/') && there.has(keyOf(path)));
    const narInfosAgain = bodies.filter(({ path }) => path.endsWith('.narinfo') && there.has(keyOf(path)));
    // For small NARs asking costs as much as sending.
    expect(narsAgain.reduce((sum, { bodyBytesUp }) => sum + bodyBytesUp, 0)).toBeLessThan(1_000_000);
    expect(narInfosAgain.map(({ path }) => path)).toEqual([]);
    const sizeOfLarge = Math.max(...[...(await bucket.objects()).values()].map(({ size }) => size));
    const largeIsThere = [...there.values()].some(({ size }) => size === sizeOfLarge);
    const partsSent = bodies.filter(({ path }) => path.includes('partNumber='));
    const sum = (sizes: Iterable<number>) => [...sizes].reduce((total, size) => total + size, 0);
    // Each once: on a busy machine one whose answer is lost is sent again.
    const sent = new Map(
      partsSent.filter(({ status }) => status === 200).map(({ path, bodyBytesUp }) => [path, bodyBytesUp]),
    );
    expect(sum(sent.values())).toBe(largeIsThere ? 0 : sizeOfLarge - sum(partsThere));
  });

  it('that are all stopped end a pull in bounded time; the same pull completes without fetching again', async () => {
    const store = box().path('pulled-in-two');
    const pull = pullFrom(throughProxy(full), store, '--retry-seconds', '2');
    const run = carport.start(pull);
    await untilAnswered(120, run);
    await Promise.all([kill(0, 1, 2), proxy().pause()]);
    const stopped = performance.now();
    const { exitCode, stderr, stdout } = await run.ended;
    expect(performance.now() - stopped).toBeLessThan(2000 + BOUND_MS);
    expect(exitCode, stderr).toBe(75);
    expect(stderr).toMatch(/^error\[E_UNAVAILABLE\]: /m);
    expect(stdout).toBe('');
    const registered = (await readdir(`${store}/nix/var/carport/info`)).length;
    expect(registered).toBeGreaterThan(10);
    expect(registered).toBeLessThan(large.paths.length);
    const { exitCode: verified } = await box().carport(['store', 'verify', '--store', store]);
    expect(verified, 'what is registered is whole').toBe(0);

    await restart();
    await proxy().resume();
    proxy().reset();
    await expectDone(carport.start(pull));
    await expectWholeStore(store);
    const nars = proxy()
      .requests()
      .filter(({ path }) => path.includes('/nar/'));
    expect(nars.length).toBeLessThanOrEqual(large.paths.length - registered);
  });

  it('that are all stopped are said to be gone at once when nothing was begun', async () => {
    await Promise.all([kill(0, 1, 2), proxy().pause()]);
    const start = performance.now();
    const { exitCode, stderr } = await carport.run(pushTo(throughProxy(full), '--retry-seconds', '1'));
    expect(exitCode, stderr).toBe(75);
    expect(performance.now() - start).toBeLessThan(BOUND_MS);
  });
});
