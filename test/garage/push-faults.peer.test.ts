import { beforeAll, beforeEach, expect, it } from 'vitest';
import { faultsIn, narInfosIn, observe, openBucket, type TestBucket } from '../support/bucket.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { useGarageRuns } from '../support/garage-runs.js';
import { useProxy } from '../support/proxy.js';
import type { Fault, Match } from '../support/proxy-faults.js';
import { createLargeStore } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

/** Some that Garage keeps inline, some of a block, and one of several parts and blocks. */
const SIZES = [5_000_000, ...Array.from({ length: 40 }, (_, index) => 150 * index * (index % 4) + 8 * index)];

/** Everything is over in less than this, also what nothing can mend. */
const BOUND_MS = 60_000;

const ALWAYS = Number.POSITIVE_INFINITY;

const isCacheInfo: Match = ({ path }) => path.endsWith('/nix-cache-info');
const isNarInfo: Match = ({ path }) => path.endsWith('.narinfo');
const isListing: Match = ({ path }) => path.endsWith('.ls');
const isNar: Match = ({ path }) => /\/nar\/[^?]*$/.test(path);
const isPart: Match = ({ path }) => path.includes('partNumber=');
const beginsUpload: Match = ({ method, path }) => method === 'POST' && /[?&]uploads/.test(path);
const endsUpload: Match = ({ method, path }) => method === 'POST' && path.includes('uploadId=');
const isPut = (match: Match): Match => {
  return (request) => request.method === 'PUT' && match(request);
};
const isList: Match = ({ path }) => path.includes('list-type=2');

/** One after the other, again and again. */
function cycle<T>(items: readonly T[]): () => T {
  let next = 0;
  return () => items[next++ % items.length]!;
}

describeWithGarage('pushes to a Garage that fails', () => {
  const box = useSandbox('all');
  const garage = useGarage();
  const carport = useGarageRuns(box, garage);
  let large: Awaited<ReturnType<typeof createLargeStore>>;
  let key: KeyFile;
  beforeAll(async () => {
    large = await createLargeStore(box().root, SIZES);
    key = await box().makeKey('test-1');
  });

  const expectWholeCache = async () => {
    // Whether what is promised is there is looked at while it is pushed.
    expect(await faultsIn(bucket, { mayEndLate: true })).toEqual([]);
    expect([...(await narInfosIn(bucket, await bucket.objects())).keys()].sort()).toEqual([...large.paths].sort());
    expect(await bucket.uploads(), 'uploads are left').toEqual([]);
  };

  const proxy = useProxy(() => garage().nodes[0]!.s3Endpoint);
  let bucket: TestBucket;
  beforeEach(async () => {
    bucket = openBucket(garage(), await garage().freshBucket());
  });

  /** Pushes, and looks all the while at what others see of the bucket. */
  const push = async (...more: readonly string[]) => {
    const to = garage().url(bucket.name, {
      ...{ endpoint: proxy().url, 'multipart-threshold': '1048576', 'multipart-chunk-size': '1048576' },
    });
    const observer = observe(bucket);
    const start = performance.now();
    const args = ['push', large.top, '--store', large.root, '--to', to, '--secret-key', key.file];
    const ran = await carport.run([...args, ...more]);
    const { faults, counts } = await observer.stop();
    expect(faults, 'somebody saw what was not complete').toEqual([]);
    return { ...ran, counts, tookMs: performance.now() - start };
  };
  const failed = () =>
    proxy()
      .requests()
      .filter(({ fault }) => fault !== undefined).length;

  const kinds = {
    'refusals that pass': [
      ...[{ status: 500 }, { status: 502, readBody: true }, { status: 503 }, { status: 429 }, { status: 504 }],
      { status: 503, retryAfter: 1 },
    ],
    'connections that are reset': ['reset-before', 'reset-after', 'reset-midway'],
    'answers that break off': ['truncate'],
    'wrong bytes in what was sent': [{ flip: 100, direction: 'up' }],
    'answers of which half comes as if it were all': ['truncate-silently'],
  } as const satisfies Readonly<Record<string, readonly Fault[]>>;
  it.each(Object.entries(kinds))('%s are mended', async (_, faults: readonly Fault[]) => {
    const fault = cycle(faults);
    for (const match of [isCacheInfo, isList]) proxy().fail({ fault: fault(), match });
    for (const match of [isNarInfo, isNar, isListing]) {
      for (const skip of [0, 3, 6, 9]) proxy().fail({ fault: fault(), match: isPut(match), skip, times: 2 });
    }
    proxy().fail({ fault: fault(), match: isPart, times: 3 });
    for (const match of [beginsUpload, endsUpload]) proxy().fail({ fault: fault(), match, times: 2 });
    const { exitCode, stderr, lines } = await push();
    expect(exitCode, stderr).toBe(0);
    expect([...lines].sort()).toEqual([...large.paths].sort());
    // Most answers to a push have no body of which half could come.
    expect(failed()).toBeGreaterThan(faults === kinds['answers of which half comes as if it were all'] ? 4 : 25);
    await expectWholeCache();
  });

  it('a connection on which nothing comes is given up', async () => {
    const fault = cycle(['stall', 'stall-before'] as const);
    for (const match of [isPut(isNarInfo), isPut(isNar)]) {
      for (const skip of [3, 6]) proxy().fail({ fault: fault(), match, skip });
    }
    proxy().fail({ fault: fault(), match: isPart });
    const { exitCode, stderr, tookMs } = await push('--retry-seconds', '2');
    expect(exitCode, stderr).toBe(0);
    expect(failed()).toBe(5);
    expect(tookMs).toBeGreaterThan(2000);
    expect(tookMs).toBeLessThan(BOUND_MS);
    await expectWholeCache();
  });

  it('waits as long as Retry-After says', async () => {
    proxy().fail({ fault: { status: 503, retryAfter: 3 }, match: isCacheInfo });
    const running = push();
    await expect.poll(failed, { timeout: 90_000, interval: 10 }).toBe(1);
    const failedAt = performance.now();
    await expect.poll(() => proxy().requests().length, { timeout: 90_000, interval: 10 }).toBeGreaterThan(1);
    expect(performance.now() - failedAt, 'it did not wait').toBeGreaterThan(2000);
    const { exitCode, stderr } = await running;
    expect(exitCode, stderr).toBe(0);
  });

  it.each([
    ['a NAR', isPut(isNar), { status: 500 }, 75],
    ['a narinfo', isPut(isNarInfo), { status: 503, retryAfter: 1 }, 75],
    ['a part', isPart, 'reset-midway', 75],
    ['the end of an upload', endsUpload, { status: 500 }, 75],
    ['a NAR that never arrives as it was', isPut(isNar), { flip: 0, direction: 'up' }, 75],
    ['a narinfo that may not be written', isPut(isNarInfo), { status: 403, readBody: true }, 4],
    ['a narinfo, by a server that cannot do it', isPut(isNarInfo), { status: 501, readBody: true }, 1],
  ] as const)('what stays broken is a clear error: %s', async (_, match, fault, expected) => {
    proxy().fail({ fault: fault as Fault, match, skip: match === isPart ? 1 : 0, times: ALWAYS });
    const { exitCode, stderr, stdout, tookMs } = await push('--retry-seconds', '1');
    expect(exitCode, stderr).toBe(expected);
    expect(stderr).toMatch(/^error\[E_[A-Z]+\]: \S/m);
    expect(stderr).toMatch(/^hint: \S/m);
    expect(stdout).toBe('');
    expect(tookMs).toBeLessThan(BOUND_MS);
  });

  it('what was broken for long is completed later', async () => {
    proxy().fail({ fault: 'reset-midway', match: isPart, skip: 2, times: ALWAYS });
    proxy().fail({ fault: { status: 500 }, match: isPut(isNarInfo), skip: 5, times: ALWAYS });
    expect((await push('--retry-seconds', '1')).exitCode).toBe(75);
    proxy().heal();
    const { exitCode, stderr } = await push();
    expect(exitCode, stderr).toBe(0);
    await expectWholeCache();
  });

  it.each([1, 2, 3])('chaos is mended, and nobody sees what is not complete (seed %i)', async (seed) => {
    const { 'answers of which half comes as if it were all': _, ...others } = kinds;
    proxy().chaos({ seed, probability: 0.2, timesEach: 3, faults: Object.values(others).flat() });
    const { exitCode, stderr, counts } = await push();
    expect(exitCode, stderr).toBe(0);
    expect(failed()).toBeGreaterThan(10);
    expect(counts.filter((count) => count > 0 && count < large.paths.length).length, 'seen half done').toBeGreaterThan(
      0,
    );
    await expectWholeCache();
  });
});
