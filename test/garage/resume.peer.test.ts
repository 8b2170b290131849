import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { faultsIn, openBucket, type TestBucket } from '../support/bucket.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { type StartedRun, useGarageRuns } from '../support/garage-runs.js';
import { useProxy } from '../support/proxy.js';
import type { RequestHead } from '../support/proxy-faults.js';
import { createLargeStore } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

const MIB = 1024 * 1024;
const SIZES = [40_000_000, 1000, 2000, 3000];

describeWithGarage('a large upload', () => {
  const box = useSandbox('all');
  const garage = useGarage();
  const proxy = useProxy(() => garage().nodes[0]!.s3Endpoint);
  const carport = useGarageRuns(box, garage);
  let large: Awaited<ReturnType<typeof createLargeStore>>;
  let key: KeyFile;
  let bucket: TestBucket;
  let machines = 0;
  let machine: string;
  beforeAll(async () => {
    large = await createLargeStore(box().root, SIZES);
    key = await box().makeKey('test-1');
  });
  beforeEach(async () => {
    bucket = openBucket(garage(), await garage().freshBucket());
    machine = box().path(`machine-${++machines}`);
  });

  const start = (state = machine): StartedRun => {
    const to = garage().url(bucket.name, {
      ...{ endpoint: proxy().url, 'multipart-threshold': `${MIB}`, 'multipart-chunk-size': `${MIB}` },
    });
    const args = ['push', large.top, '--store', large.root, '--to', to, '--secret-key', key.file];
    return carport.start(args, { env: { XDG_STATE_HOME: state } });
  };
  const succeed = async (run: StartedRun) => {
    const { exitCode, stderr } = await run.ended;
    expect(exitCode, stderr).toBe(0);
  };
  /** Each part waits so long that a push is in the midst of the upload when somebody looks. */
  const slowDown = () =>
    proxy().fail({ fault: { delay: 100 }, match: ({ path }) => path.includes('partNumber='), times: 1000 });
  const partsSent = () =>
    proxy()
      .requests()
      .filter(({ method, path }) => method === 'PUT' && path.includes('partNumber='));
  const untilSent = async (count: number) => {
    const sent = () => partsSent().filter(({ status }) => status === 200).length;
    await expect.poll(sent, { timeout: 60_000, interval: 5 }).toBeGreaterThanOrEqual(count);
  };
  /** Of parts that arrived, each once: one that a busy server refuses, or whose answer is lost, is sent again. */
  const arrived = (parts: ReturnType<typeof partsSent>) => {
    const whole = parts.filter(({ status }) => status === 200);
    return sum(
      new Map(whole.map(({ path, bodyBytesUp }) => [/partNumber=([0-9]+)/.exec(path)![1], bodyBytesUp])).values(),
    );
  };
  const sum = (sizes: Iterable<number>) => [...sizes].reduce((total, size) => total + size, 0);
  const sizeOfNar = async () => Math.max(...[...(await bucket.objects()).values()].map(({ size }) => size));
  const records = (state = machine) => readdir(`${state}/carport/uploads`).catch(() => []);
  /** What a killed client had begun to send arrives, or does not, a moment later. */
  const onlyUpload = async () => {
    for (let before: unknown; ; ) {
      await sleep(300);
      const uploads = await bucket.uploads();
      expect(uploads.length).toBe(1);
      const now = [...uploads[0]!.parts.keys()];
      if (isDeepStrictEqual(before, now)) return uploads[0]!;
      before = now;
    }
  };
  const expectDone = async (state = machine) => {
    expect(await faultsIn(bucket)).toEqual([]);
    expect([...(await bucket.objects()).keys()].filter((name) => name.endsWith('.narinfo')).length).toBe(
      large.paths.length,
    );
    expect(await records(state)).toEqual([]);
  };

  it('that was killed goes on with the parts that are there, again and again', async () => {
    slowDown();
    let there = 0;
    for (const more of [8, 5]) {
      proxy().reset();
      const run = start();
      await untilSent(more);
      expect((await run.kill('SIGKILL')).signal).toBe('SIGKILL');
      const upload = await onlyUpload();
      const now = sum(upload.parts.values());
      expect(now).toBeGreaterThanOrEqual(there + more * MIB);
      there = now;
      expect((await records()).length).toBe(1);
    }
    proxy().reset();
    proxy().heal();
    await succeed(start());
    expect(arrived(partsSent())).toBe((await sizeOfNar()) - there);
    // Everything else that went up, requests' heads included.
    expect(proxy().totals().bytesUp).toBeLessThan((await sizeOfNar()) - there + 3 * MIB);
    expect(await bucket.uploads()).toEqual([]);
    await expectDone();
  });

  it('that is there whole is not sent again when the push was killed after it', async () => {
    const isNarInfo = ({ method, path }: RequestHead) => method === 'PUT' && path.endsWith('.narinfo');
    proxy().fail({ fault: { delay: 60_000 }, match: isNarInfo, times: 100 });
    const run = start();
    const isWhole = () =>
      proxy()
        .requests()
        .some(({ method, path, status }) => method === 'POST' && path.includes('uploadId=') && status === 200);
    await expect.poll(isWhole, { timeout: 60_000, interval: 5 }).toBe(true);
    // A record of what is whole would stay for a day.
    await expect.poll(() => records(), { timeout: 60_000, interval: 5 }).toEqual([]);
    await run.kill('SIGKILL');
    proxy().heal();
    proxy().reset();
    await succeed(start());
    expect(partsSent().length).toBe(0);
    expect(proxy().totals().bytesUp).toBeLessThan(100_000);
    expect(await bucket.uploads()).toEqual([]);
    await expectDone();
  });

  it('that is interrupted leaves no upload, and no record of one', async () => {
    slowDown();
    const run = start();
    await untilSent(5);
    const { exitCode, stderr } = await run.kill('SIGINT');
    expect(exitCode, stderr).toBe(130);
    expect(stderr).toContain('error[E_INTERRUPTED]: stopped by SIGINT');
    expect(await bucket.uploads()).toEqual([]);
    expect(await records()).toEqual([]);
    expect([...(await bucket.objects()).keys()].filter((name) => name.endsWith('.narinfo')).length).toBeLessThan(
      large.paths.length,
    );
    proxy().heal();
    await succeed(start());
    await expectDone();
  });

  it('of another machine is left alone', async () => {
    slowDown();
    const killed = start();
    await untilSent(5);
    await killed.kill('SIGKILL');
    const before = await onlyUpload();

    const other = box().path('other-machine');
    proxy().heal();
    proxy().reset();
    await succeed(start(other));
    expect(arrived(partsSent())).toBe(await sizeOfNar());
    await expectDone(other);
    // Garage itself forgets an older upload of a key when a newer one is done.
    const ofFirst = proxy()
      .requests()
      .filter(({ path }) => path.includes(before.id));
    expect(ofFirst).toEqual([]);
    expect((await records()).length).toBe(1);
    await succeed(start());
  });

  it('that somebody removed begins again', async () => {
    slowDown();
    const killed = start();
    await untilSent(5);
    await killed.kill('SIGKILL');
    const removed = await onlyUpload();
    await bucket.abort(removed);
    proxy().heal();
    proxy().reset();
    await succeed(start());
    // On a busy machine parts of the client that was killed come late.
    const ofAnother = partsSent().filter(({ path }) => !path.includes(removed.id));
    expect(arrived(ofAnother)).toBe(await sizeOfNar());
    expect(await bucket.uploads()).toEqual([]);
    await expectDone();
  });

  it('beside the same one of another machine disturbs nobody', async () => {
    const runs = [start(), start(box().path('machine-beside'))];
    await Promise.all(runs.map(succeed));
    expect(await bucket.uploads()).toEqual([]);
    await expectDone();
  });

  it('of a process that still runs is not taken over', async () => {
    slowDown();
    const first = start();
    await untilSent(3);
    const second = start();
    await Promise.all([first, second].map(succeed));
    expect(await bucket.uploads()).toEqual([]);
    await expectDone();
  });
});
