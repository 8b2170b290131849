import { createHash } from 'node:crypto';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { loadSecretKey } from '#bin/settings/keys.js';
import { parseCacheUrl } from '#cache/cache-url.js';
import { openCache } from '#cache/open.js';
import { listObjects, type WriteStore } from '#lib/object-store/object-store.js';
import type { SecretKey } from '#lib/signing/key.js';
import { fileKey, fragmentKey, PROMOTIONS, versionKey } from '#release/layout.js';
import { openBucket, type TestBucket } from '../support/bucket.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { useGarageRuns } from '../support/garage-runs.js';
import { killCount, killOften } from '../support/kill.js';
import { useProxy } from '../support/proxy.js';
import { latestStable, putRelease } from '../support/releases.js';
import { noise } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';
import { writable } from '../support/stores.js';

const [FROM, TO] = ['v1.2.0-rc1', 'v1.2.0'];
const TARGETS = ['aarch64', 'armv6l', 'i686', 'x86_64'].map((arch) => `${arch}-unknown-linux-musl`);

describeWithGarage('a promotion on Garage', () => {
  const box = useSandbox('all');
  const garage = useGarage();
  const proxy = useProxy(() => garage().nodes[0]!.s3Endpoint);
  const carport = useGarageRuns(box, garage);
  let keyFile: KeyFile;
  let key: SecretKey;
  let bucket: TestBucket;
  let objects: WriteStore;
  beforeAll(async () => {
    keyFile = await box().makeKey('release-1');
    key = await loadSecretKey(keyFile.file);
  });
  beforeEach(async () => {
    bucket = openBucket(garage(), await garage().freshBucket());
    const { signal } = new AbortController();
    objects = writable(openCache(parseCacheUrl(garage().url(bucket.name)), { env: garage().env, signal }));
    await put(FROM, 0);
  });

  const put = async (version: string, seed: number) => {
    for (const [index, target] of TARGETS.entries()) {
      const files = { garage: noise(700_000, seed + index), tool: noise(30_000, seed + index + 100) };
      await putRelease(objects, { version, target, files, keys: [key] });
    }
  };
  const args = (from: string, ...more: readonly string[]) => [
    ...['release', 'promote', from, '--to', 'stable', '--cache', garage().url(bucket.name)],
    ...['--secret-key', keyFile.file, ...more],
  ];
  const promote = (...more: readonly string[]) => carport.run(args(FROM, ...more));
  const latest = () => latestStable(objects, { keys: [key.publicKey], allowUnsigned: false });
  /** Key, size, time and MD5 of all that is there. */
  const listing = async () => {
    const lines: string[] = [];
    for await (const { key, size, modified, md5 } of listObjects(objects, { recursive: true })) {
      lines.push(`${key} ${size} ${modified.toISOString()} ${md5}`);
    }
    return lines;
  };
  const hashesOf = (version: string) =>
    Promise.all(
      TARGETS.flatMap((target) => ['garage', 'tool'].map((name) => fileKey(version, target, name))).map(async (name) =>
        createHash('sha256')
          .update(await bucket.read(name))
          .digest('hex'),
      ),
    );

  it('copies bytes and metadata on the server', async () => {
    proxy().reset();
    const url = garage().url(bucket.name, { endpoint: proxy().url });
    const before = await hashesOf(FROM);
    const { lines } = await carport.succeed([...args(FROM), '--cache', url]);
    expect(lines).toEqual(TARGETS.flatMap((target) => ['garage', 'tool'].map((name) => fileKey(TO, target, name))));
    expect(await hashesOf(TO)).toEqual(before);
    expect(await bucket.metadata(fileKey(TO, TARGETS[0]!, 'garage'))).toEqual(
      await bucket.metadata(fileKey(FROM, TARGETS[0]!, 'garage')),
    );
    expect(await bucket.metadata(fragmentKey(TO, TARGETS[0]!))).toEqual({
      ...{ contentType: 'application/json', cacheControl: 'no-cache' },
    });
    // No file was sent: a mark, a copy for each file, fragments.
    const puts = proxy()
      .requests()
      .filter(({ method }) => method === 'PUT');
    expect(puts).toHaveLength(1 + 8 + 4);
    expect(await latest()).toBe(TO);
    expect(await bucket.objects()).not.toContain(versionKey(PROMOTIONS, TO));
  });

  it('changes nothing at all when a gate fails', async () => {
    const before = await listing();
    const failed = await promote('--gate-command', 'exit 1', '--required-target', 'riscv64-unknown-linux-musl');
    expect(failed).toMatchObject({ exitCode: 1, stdout: '', stderr: expect.stringContaining('E_GATE') });
    await bucket.put(fileKey(FROM, TARGETS[2]!, 'tool'), noise(30_000, 999));
    const tampered = await listing();
    expect(tampered).not.toEqual(before);
    expect(await promote()).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('FAILED  hashes') });
    expect(await listing()).toEqual(tampered);
    expect(await latest()).toBeUndefined();
  });

  it('tells a key that may not write from one that may', async () => {
    const { accessKeyId, secretAccessKey } = await garage().createKey('reader', { bucket: bucket.name, read: true });
    const before = await listing();
    const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    expect(await carport.run(args(FROM), { env })).toMatchObject({
      ...{ exitCode: 4, stderr: expect.stringMatching(/passed {2}hashes[^$]*error\[E_CREDENTIALS\]/) },
    });
    const yank = ['release', 'yank', FROM, '--reason', 'bad', '--to', garage().url(bucket.name)];
    expect(await carport.run([...yank, '--secret-key', keyFile.file], { env })).toMatchObject({ exitCode: 4 });
    expect(await carport.run([...args(FROM), '--dry-run'], { env })).toMatchObject({ exitCode: 0 });
    expect(await listing()).toEqual(before);
  });

  it('can be tried again when nobody answers', async () => {
    const url = garage().url(bucket.name, { endpoint: 'http://127.0.0.1:9' });
    const ran = await carport.run([...args(FROM), '--cache', url, '--retry-seconds', '1']);
    expect(ran).toMatchObject({ exitCode: 75, stderr: expect.stringContaining('E_UNAVAILABLE') });
  });

  it('of the same by several at once is done once, and whole', async () => {
    const ran = await Promise.all([promote(), promote(), promote()]);
    expect(ran.map(({ exitCode, stderr }) => [exitCode, exitCode === 0 ? '' : stderr])).toEqual(Array(3).fill([0, '']));
    expect(await hashesOf(TO)).toEqual(await hashesOf(FROM));
    expect(await latest()).toBe(TO);
    expect((await promote()).stderr).toContain('nothing to do');
  });

  it('of two releases to one version is of one of them, or not seen', async () => {
    await put('v1.2.0-rc2', 50);
    const sources = [FROM, 'v1.2.0-rc2'];
    const ran = await Promise.all(sources.map((from) => carport.run(args(from))));
    const winners = sources.filter((_, index) => ran[index]!.exitCode === 0);
    expect(winners.length, ran.map(({ stderr }) => stderr).join('\n')).toBeLessThanOrEqual(1);
    expect(await latest()).toBe(winners.length === 0 ? undefined : TO);
    if (winners.length === 0) await carport.succeed(args(FROM, '--discard'));
    expect(await hashesOf(TO)).toEqual(await hashesOf(winners[0] ?? FROM));
  });

  it('is whole after it was killed at any time and run again, and is not seen before', async () => {
    const wanted = await hashesOf(FROM);
    const own = { ...box(), env: { ...box().env, ...garage().env } };
    const mark = versionKey(PROMOTIONS, TO);
    await killOften(
      own,
      () => args(FROM),
      killCount(5),
      async (wasKilled, at) => {
        const isMarked = (await objects.stat(mark)) !== undefined;
        if ((await latest()) === undefined) {
          expect(wasKilled, at).toBe(true);
          return isMarked ? 'a part' : 'nothing';
        }
        expect(await hashesOf(TO), at).toEqual(wanted);
        const keys = [...(await bucket.objects()).keys()].filter((name) => name.includes(`/${TO}/`));
        expect(keys).toHaveLength(12);
        await objects.remove(keys);
        return 'all';
      },
    );
    await carport.succeed(args(FROM));
    expect(await hashesOf(TO)).toEqual(wanted);
    expect(await latest()).toBe(TO);
  });
});
