import { readFile, writeFile } from 'node:fs/promises';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { parseCacheUrl } from '#cache/cache-url.js';
import { openCache } from '#cache/open.js';
import type { ObjectStore, WriteStore } from '#lib/object-store/object-store.js';
import { parseSecretKey, type SecretKey } from '#lib/signing/key.js';
import { toReleaseTime } from '#release/documents/kinds.js';
import { PRUNINGS } from '#release/layout.js';
import { type PruneRequest, planPrune, prune } from '#release/prune/session.js';
import { channelRule } from '#release/version.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { useGarageRuns } from '../support/garage-runs.js';
import { useProxy } from '../support/proxy.js';
import { hashesIn, putRelease, TEST_TARGET } from '../support/releases.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';
import { writable } from '../support/stores.js';

const DAY = 86_400_000;
const commit = (number: number) => number.toString(16).padStart(40, '0');

describeWithGarage('releases that are pruned on Garage', () => {
  const box = useSandbox('all');
  const garage = useGarage();
  const carport = useGarageRuns(box, garage);
  const proxy = useProxy(() => garage().nodes[0]!.s3Endpoint);
  let keyFile: KeyFile;
  let key: SecretKey;
  let bucket: string;
  beforeAll(async () => {
    keyFile = await box().makeKey('release-1');
    key = parseSecretKey(await readFile(keyFile.file, 'utf8'));
  });
  beforeEach(async () => {
    bucket = await garage().freshBucket();
  });

  /** By way of the proxy, as seen by somebody with these credentials. */
  const withObjects = async <T>(
    work: (objects: WriteStore) => Promise<T>,
    env: Readonly<Record<string, string>> = garage().env,
  ): Promise<T> => {
    const signal = new AbortController().signal;
    const url = garage().url(bucket, { endpoint: proxy().url });
    const objects = writable(
      openCache(parseCacheUrl(url), { env: { ...box().env, ...env }, signal, patienceMs: 5_000 }),
    );
    try {
      return await work(objects);
    } finally {
      await objects.close();
    }
  };
  const putBuilds = (number: number) =>
    withObjects(async (objects) => {
      for (let each = 1; each <= number; each++) {
        const time = toReleaseTime(new Date(Date.now() - each * DAY));
        await putRelease(objects, { version: commit(each), keys: [key], time, files: { 'a+b': 'a', 'c=d': 'c' } });
      }
    });
  /** The store's clock cannot be turned back: the run is some days later. */
  const requestOf = (days: number, keep: number): PruneRequest => {
    return {
      ...{ channel: 'development', keep, keepWithin: 0, grace: 7 * DAY, allowLost: false },
      ...{ now: Date.now() + days * DAY, policy: { keys: [key.publicKey], allowUnsigned: false } },
      rulesOf: () => ({ channelOf: channelRule(), requiredTargets: [] }),
    };
  };
  const runIn = async (objects: ObjectStore, days: number, keep: number) => {
    const request = requestOf(days, keep);
    const planned = await planPrune(objects, request);
    const done: string[] = [];
    for await (const { action, release } of prune(objects, planned, request, [key])) {
      done.push(`${action} ${Number.parseInt(release.version, 16)}`);
    }
    return done;
  };
  const run = (days: number, keep: number, env?: Readonly<Record<string, string>>) =>
    withObjects((objects) => runIn(objects, days, keep), env);
  const publish = () =>
    carport.succeed(['index', 'publish', '--to', garage().url(bucket), '--secret-key', keyFile.file]);
  const keys = () => withObjects(async (objects) => [...(await hashesIn(objects)).keys()]);
  const versionsLeft = async () => new Set((await keys()).flatMap((each) => /0[0-9a-f]{39}/.exec(each)?.[0] ?? []));

  it('go out of the index, and then away', async () => {
    await putBuilds(4);
    await publish();
    expect(await run(1, 2)).toEqual(['hide 3', 'hide 4']);
    expect(await run(10, 2)).toEqual([]);
    await publish();
    expect((await keys()).filter((each) => each.startsWith('releases/00'))).toHaveLength(8);
    expect(await run(1.1, 3)).toEqual(['restore 3']);
    await publish();
    expect(await run(9, 3)).toEqual(['delete 4']);
    expect(await versionsLeft()).toEqual(new Set([commit(1), commit(2), commit(3)]));
    const before = await keys();
    expect((await publish()).stderr).toContain('nothing has changed');
    expect(await keys()).toEqual(before);
    const list = await carport.succeed([
      'release',
      'ls',
      '--from',
      garage().url(bucket),
      '--trusted-key',
      keyFile.publicKey,
    ]);
    expect(list.lines.map((line) => line.slice(0, 40))).toEqual([1, 2, 3].map(commit));
  });

  it('are hidden and deleted with few requests', async () => {
    await putBuilds(30);
    proxy().reset();
    expect(await run(1, 10)).toHaveLength(20);
    // Six listings, thirty fragments and the index; then for each the mark, two listings, its fragment and documents.
    expect(proxy().requests().length).toBeLessThanOrEqual(40 + 20 * 7);
    proxy().reset();
    expect(await run(9, 10)).toHaveLength(20);
    expect(proxy().requests().length).toBeLessThanOrEqual(60 + 20 * 12);
    expect((await versionsLeft()).size).toBe(10);
  });

  it('are shown or whole or hidden, whatever the requests run into; the next run completes', async () => {
    await putBuilds(12);
    expect(await run(1, 2)).toHaveLength(10);
    for (let stop = 1, done = false; !done; stop += 7) {
      let sent = 0;
      const dying = () =>
        withObjects((objects) => {
          const die = () => Promise.reject(new Error('killed'));
          const limited: WriteStore = {
            ...objects,
            put: (...args) => (++sent > stop ? die() : objects.put(...args)),
            remove: (gone) => (++sent > stop ? die() : objects.remove(gone)),
          };
          return runIn(limited, 9, 2);
        });
      done = await dying().then(
        () => true,
        () => false,
      );
      const left = await keys();
      const marked = new Set(left.filter((each) => each.startsWith(PRUNINGS)).map((each) => each.slice(-45, -5)));
      for (const version of await versionsLeft()) {
        const objects = left.filter((each) => /^(_releases|carport\/releases)\//.test(each) && each.includes(version));
        if (objects.length < 3) expect(marked).toContain(version);
      }
    }
    expect(await versionsLeft()).toEqual(new Set([commit(1), commit(2)]));
  });

  it('stay where the access key may not write', async () => {
    await putBuilds(3);
    const reader = await garage().createKey('reader', { bucket, read: true });
    const env = { AWS_ACCESS_KEY_ID: reader.accessKeyId, AWS_SECRET_ACCESS_KEY: reader.secretAccessKey };
    const before = await keys();
    await expect(run(1, 1, env)).rejects.toMatchObject({ code: 'E_CREDENTIALS', hint: expect.any(String) });
    expect(await keys()).toEqual(before);
  });

  it('stay when they are put again', async () => {
    await putBuilds(2);
    expect(await run(1, 1)).toEqual(['hide 2']);
    const file = box().path('work', 'a+b');
    await writeFile(file, 'a');
    const put = [
      'release',
      'put',
      file,
      '--commit',
      commit(2),
      '--to',
      garage().url(bucket),
      '--secret-key',
      keyFile.file,
    ];
    await carport.succeed([...put, '--target', TEST_TARGET]);
    expect((await keys()).filter((each) => each.startsWith(PRUNINGS))).toEqual([]);
    expect(await run(1, 1)).toEqual(['hide 2']);
    await carport.succeed([...put, '--target', 'y']);
    expect(await run(0, 1)).toEqual([]);
    expect(await versionsLeft()).toEqual(new Set([commit(1), commit(2)]));
  });
});
