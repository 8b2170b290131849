import { spawnSync } from 'node:child_process';
import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ObjectStore } from '#lib/object-store/object-store.js';
import { gather, noise } from '../../../../support/files.js';
import { describeWithGarage, useGarage } from '../../../../support/garage.js';
import { useProxy } from '../../../../support/proxy.js';
import type { Match, RequestHead } from '../../../../support/proxy-faults.js';
import { createStores, type OpenStores, type StoreOptions } from '../../../../support/stores.js';

const MIB = 1024 * 1024;
const KEY = 'nar/x.nar';
const NAR = { contentType: 'application/x-nix-nar', cacheControl: 'public, immutable' };
/** Eight parts of 1 MiB and one of half. */
const CONTENT = noise(8.5 * MIB);

const isPart =
  (...numbers: readonly number[]) =>
  ({ method, path }: RequestHead) =>
    method === 'PUT' && numbers.some((number) => path.includes(`partNumber=${number}&`));
const isCreate = ({ method, path }: RequestHead) => method === 'POST' && /\?uploads/.test(path);
const isComplete = ({ method, path }: RequestHead) => method === 'POST' && path.includes('uploadId=');

describeWithGarage('an upload in parts', () => {
  const garage = useGarage();
  const proxy = useProxy(() => garage().nodes[0]!.s3Endpoint);
  let stores: OpenStores;
  let client: S3Client;
  let Bucket: string;
  beforeEach(async () => {
    stores = await createStores();
    const { region, credentials, nodes } = garage();
    client = new S3Client({ region, credentials, endpoint: nodes[0]!.s3Endpoint, forcePathStyle: true });
    Bucket = await garage().freshBucket();
  });
  afterEach(async () => {
    client.destroy();
    await stores.remove();
  });

  const open = (options: StoreOptions = {}): ObjectStore => {
    const params = { endpoint: proxy().url, 'multipart-threshold': String(MIB), 'multipart-chunk-size': String(MIB) };
    return stores.open(garage().url(Bucket, params), {
      env: garage().env,
      // A busy server cuts off the part of an upload that is gone before it answers, several times.
      patienceMs: 60_000,
      stallMs: 30_000,
      ...options,
    }).objects;
  };
  const put = async (objects = open(), content = CONTENT, key = KEY) => {
    const path = await objects.spoolName();
    await writeFile(path, content);
    await objects.put(key, { path, size: content.length }, NAR);
  };
  const contentOf = async (key = KEY) => gather((await open().open(key))!.bytes());
  const uploads = async () => (await client.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads ?? [];
  const recordsDirectory = () => stores.box.path('state/carport/uploads');
  const records = () => readdir(recordsDirectory()).catch(() => []);
  const partsArrived = () =>
    proxy()
      .requests()
      .filter(({ method, path, status }) => method === 'PUT' && path.includes('partNumber=') && status === 200)
      .map(({ path }) => Number(/partNumber=([0-9]+)/.exec(path)![1]));
  /** Each once: on a busy machine one whose answer is lost is sent again. */
  const partsSent = () => [...new Set(partsArrived())].sort((a, b) => a - b);
  /** Keeps requests from the server until what it gives is called. */
  const holdBack = (match: Match, times = 1) => {
    let open = () => {};
    const until = new Promise<void>((resolve) => {
      open = resolve;
    });
    proxy().fail({ match, times, fault: { until } });
    return open;
  };
  const expectNothingLeft = async () => expect([await uploads(), await records()]).toEqual([[], []]);

  /** As if the process that has the records had been killed. */
  const abandon = async () => {
    const { pid } = spawnSync('true');
    for (const name of await records()) {
      const from = `${recordsDirectory()}/${name}`;
      await rename(from, from.replace(`-${process.pid}-`, `-${pid}-`));
    }
  };
  /** An upload that got as far as to its sixth part, by a process that is gone. */
  const leaveHalf = async () => {
    await open().read('x', 1);
    proxy().fail({ match: isPart(6, 7, 8, 9), times: 1_000, fault: 'reset-before' });
    await expect(put(open({ patienceMs: 1_000 }))).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
    proxy().heal();
    await abandon();
    proxy().reset();
  };

  it('arrives whole, with each part once, and leaves nothing', async () => {
    await put();
    expect((await contentOf()).equals(CONTENT)).toBe(true);
    expect(partsSent()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await expectNothingLeft();
  });

  it('keeps what was sent when the server is gone, and goes on with what is missing', async () => {
    await leaveHalf();
    expect([(await uploads()).length, (await records()).length]).toEqual([1, 1]);
    await put();
    expect((await contentOf()).equals(CONTENT)).toBe(true);
    expect(partsSent()).toEqual([6, 7, 8, 9]);
    await expectNothingLeft();
  });

  it('sends 3.5 MiB of 8.5 when 5 had arrived, counted at the socket', async () => {
    await leaveHalf();
    await put();
    // With one part that is sent again.
    expect(proxy().totals().bytesUp).toBeLessThan(4.5 * MIB + 20_000);
  });

  it('goes on with a part size of another run', async () => {
    await leaveHalf();
    const params = { 'multipart-threshold': String(MIB), 'multipart-chunk-size': String(2 * MIB) };
    const url = garage().url(Bucket, { endpoint: proxy().url, ...params });
    await put(stores.open(url, { env: garage().env }).objects);
    expect(partsSent()).toEqual([6, 7, 8, 9]);
    expect((await contentOf()).equals(CONTENT)).toBe(true);
  });

  it('sends parts again that are not the same any more', async () => {
    await leaveHalf();
    const changed = Buffer.from(CONTENT);
    changed[2.5 * MIB]! ^= 1;
    await put(open(), changed);
    expect((await contentOf()).equals(changed)).toBe(true);
    expect(partsSent()).toEqual([3, 6, 7, 8, 9]);
    await expectNothingLeft();
  });

  it('begins anew for a file of another size, and removes the old parts', async () => {
    await leaveHalf();
    const other = noise(3 * MIB, 'other');
    await put(open(), other);
    expect((await contentOf()).equals(other)).toBe(true);
    expect(partsSent()).toEqual([1, 2, 3]);
    await expectNothingLeft();
  });

  it('begins anew when somebody removed the parts', async () => {
    await leaveHalf();
    for (const { Key, UploadId } of await uploads()) {
      await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    }
    await put();
    expect((await contentOf()).equals(CONTENT)).toBe(true);
    expect(partsSent().length).toBe(9);
    await expectNothingLeft();
  });

  it('begins anew when somebody removes it while it goes on', async () => {
    const release = holdBack(isPart(9));
    const putting = put();
    while (partsSent().length < 8) await sleep(10);
    for (const { Key, UploadId } of await uploads()) {
      await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    }
    release();
    await putting;
    expect((await contentOf()).equals(CONTENT)).toBe(true);
    await expectNothingLeft();
  });

  it('leaves uploads of others alone', async () => {
    proxy().fail({ match: isCreate, fault: 'reset-after' });
    const release = holdBack(isComplete);
    const putting = put();
    // Garage itself drops those of the same key that were begun before an object that is whole.
    while (partsSent().length < 9) await sleep(10);
    const others = [KEY, `${KEY}.zst`].map(async (Key) => {
      const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
      await client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: 'x' }));
      return UploadId!;
    });
    const ids = await Promise.all(others);
    release();
    await putting;
    expect((await uploads()).map(({ UploadId }) => UploadId!).sort()).toEqual(ids.sort());
  });

  it('is not taken from a process that goes on with it', async () => {
    const release = holdBack(isPart(9));
    const first = put();
    while (partsSent().length < 8) await sleep(10);
    await put();
    release();
    await first;
    // The first loses its upload to the second, and finds the object whole.
    expect(partsArrived().length).toBeGreaterThanOrEqual(17);
    expect((await contentOf()).equals(CONTENT)).toBe(true);
    await expectNothingLeft();
  });

  it('removes its parts when it is interrupted', async () => {
    const stop = new AbortController();
    holdBack(isPart(7, 8, 9), 9);
    const putting = put(open({ signal: stop.signal }));
    putting.catch(() => undefined);
    while (partsSent().length < 5) await sleep(10);
    stop.abort(new Error('stopped'));
    await expect(putting).rejects.toThrow('stopped');
    await expectNothingLeft();
  });

  it('removes its parts when the server refuses one', async () => {
    proxy().fail({ match: isPart(5), fault: { status: 403, readBody: true } });
    await expect(put()).rejects.toMatchObject({ code: 'E_CREDENTIALS' });
    await expectNothingLeft();
    expect(await open().open(KEY)).toBeUndefined();
  });

  it('removes its parts when the file is shorter than was said', async () => {
    const objects = open();
    const path = await objects.spoolName();
    await writeFile(path, CONTENT.subarray(0, 4 * MIB));
    await expect(objects.put(KEY, { path, size: CONTENT.length }, NAR)).rejects.toThrow('fewer bytes');
    await expectNothingLeft();
  });

  it('removes own uploads that nobody went on with for a day', async () => {
    await leaveHalf();
    await put(open(), noise(2 * MIB), 'nar/other');
    expect((await uploads()).length, 'of today').toBe(1);
    for (const name of await records()) {
      const file = `${recordsDirectory()}/${name}`;
      const record = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
      await writeFile(file, JSON.stringify({ ...record, begun: Date.now() - 25 * 60 * 60 * 1000 }));
    }
    await put(open(), noise(2 * MIB), 'nar/another');
    await expectNothingLeft();
  });

  it.each([
    ['the last', isComplete],
    ['the first', isCreate],
    ['a part', isPart(4)],
  ])('is whole, and leaves nothing, when the answer to %s request is lost', async (_, match) => {
    for (const fault of ['reset-after', 'truncate'] as const) {
      proxy().fail({ match, fault });
      const content = noise(8.5 * MIB, fault);
      await put(open(), content);
      expect((await contentOf()).equals(content)).toBe(true);
      await expectNothingLeft();
    }
  });

  it('holds a few small pieces of a large file only', async () => {
    const content = noise(64 * MIB);
    await put(open(), noise(2 * MIB));
    const objects = open();
    const path = await objects.spoolName();
    await writeFile(path, content);
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    const timer = setInterval(() => {
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }, 5);
    await objects.put(KEY, { path, size: content.length }, NAR);
    clearInterval(timer);
    // The proxy of this process holds pieces, too.
    expect(most).toBeLessThan(48 * MIB);
    expect((await objects.stat(KEY))?.size).toBe(content.length);
  });
});
