import { readFile, writeFile } from 'node:fs/promises';
import { CopyObjectCommand, HeadObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { parseCacheUrl } from '#cache/cache-url.js';
import { openCache } from '#cache/open.js';
import type { WriteStore } from '#lib/object-store/object-store.js';
import { parseSecretKey, type SecretKey } from '#lib/signing/key.js';
import { openBucket, type TestBucket } from '../support/bucket.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { useGarageRuns } from '../support/garage-runs.js';
import { killCount, killOften } from '../support/kill.js';
import { useProxy } from '../support/proxy.js';
import { PLAIN_FAULTS } from '../support/proxy-faults.js';
import { hashesIn, putRelease, TEST_TARGET, type TestRelease } from '../support/releases.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';
import { writable } from '../support/stores.js';

const BASE = 'https://releases.example.org/';

/** As in the suite; by hand `CARPORT_TEST_ROUNDS=20`. */
const ROUNDS = Number(process.env.CARPORT_TEST_ROUNDS ?? 3);

const TARGETS = ['aarch64', 'armv6l', 'i686', 'x86_64'].map((name) => `${name}-unknown-linux-musl`);

describeWithGarage('an index that is published on Garage', () => {
  const box = useSandbox('all');
  const garage = useGarage();
  const carport = useGarageRuns(box, garage);
  const proxy = useProxy(() => garage().nodes[0]!.s3Endpoint);
  let keyFile: KeyFile;
  let key: SecretKey;
  let bucket: TestBucket;
  beforeAll(async () => {
    keyFile = await box().makeKey('release-1');
    key = parseSecretKey(await readFile(keyFile.file, 'utf8'));
  });
  beforeEach(async () => {
    bucket = openBucket(garage(), await garage().freshBucket());
  });

  /** By way of the proxy. */
  const url = () => garage().url(bucket.name, { endpoint: proxy().url });
  const publishArgs = (to = url()) =>
    ['index', 'publish', '--to', to, '--secret-key', keyFile.file, '--base-url', BASE] as const;
  const publish = (...more: readonly string[]) => carport.succeed([...publishArgs(), ...more]);
  const withObjects = async <T>(work: (objects: WriteStore) => Promise<T>): Promise<T> => {
    const signal = new AbortController().signal;
    const objects = writable(
      openCache(parseCacheUrl(garage().url(bucket.name)), { env: { ...box().env, ...garage().env }, signal }),
    );
    try {
      return await work(objects);
    } finally {
      await objects.close();
    }
  };
  const putAll = (...releases: readonly TestRelease[]) =>
    withObjects(async (objects) => {
      for (const release of releases) await putRelease(objects, { keys: [key], ...release });
    });
  const hashes = () => withObjects(hashesIn);
  const sent = (method: string) =>
    proxy()
      .requests()
      .filter((request) => request.method === method)
      .map(({ path }) => decodeURIComponent(path.replace(`/${bucket.name}/`, '').split('?')[0]!));

  it('is sent in its order, and once', async () => {
    await putAll({ version: 'v1.0.0' }, { version: 'v1.1.0' });
    const { lines } = await publish();
    const puts = sent('PUT');
    // Signatures of checksums go together, and then what they are of.
    const sums = ['v1.0.0', 'v1.1.0'].flatMap((version) => [
      ...[`releases/${version}/SHA256SUMS`, `releases/${version}/${TEST_TARGET}/SHA256SUMS`],
    ]);
    expect([...puts.slice(0, 4).sort(), ...puts.slice(4, 8).sort(), ...puts.slice(8)]).toEqual([
      ...[...sums.map((each) => `${each}.minisig`), ...sums],
      ...[...lines.slice(8), 'carport/ledger.json'],
    ]);
    expect(lines.slice(8)).toEqual([
      ...['releases/index.json.minisig', 'releases/index.json', 'releases/feed.atom', 'releases/all.atom'],
      ...['releases/latest/stable.json', `releases/latest/stable/${TEST_TARGET}/garage`],
      ...['_releases.json', '_releases.html', 'index.html'],
    ]);
    for (const each of lines) expect((await bucket.metadata(each)).cacheControl, each).toBe('no-cache');
    expect((await bucket.metadata('_releases.html')).contentType).toBe('text/html; charset=utf-8');
    expect((await bucket.metadata('releases/index.json')).contentType).toBe('application/json');
    proxy().reset();
    expect((await publish()).stdout).toBe('');
    expect([sent('PUT'), sent('POST')]).toEqual([[], []]);
    // Five listings of sources, three of the index and one of pages for installers, the ledger, and the latest file and what it
    // is a copy of.
    expect(proxy().requests().length).toBeLessThanOrEqual(12);
    expect(sent('GET').filter((path) => path.startsWith('carport/'))).toEqual(['carport/ledger.json']);
  });

  it('has copies of the latest files in the place of the redirects of before, whatever others noted on the files', async () => {
    await putAll({ version: 'v1.0.0' });
    const { nodes, region, credentials } = garage();
    const client = new S3Client({ region, credentials, endpoint: nodes[0]!.s3Endpoint, forcePathStyle: true });
    const Key = `releases/latest/stable/${TEST_TARGET}/garage`;
    const source = `_releases/v1.0.0/${TEST_TARGET}/garage`;
    const redirect = { Body: 'x', WebsiteRedirectLocation: `/${source}`, CacheControl: 'no-cache' };
    await client.send(new PutObjectCommand({ Bucket: bucket.name, Key, ...redirect }));
    const noted = {
      Metadata: { mtime: '1700000000.25' },
      ContentType: 'application/x-elf',
      CacheControl: 'max-age=86400',
    };
    const CopySource = `${bucket.name}/${source}`;
    const MetadataDirective = 'REPLACE';
    await client.send(
      new CopyObjectCommand({ Bucket: bucket.name, Key: source, CopySource, MetadataDirective, ...noted }),
    );
    const head = () => client.send(new HeadObjectCommand({ Bucket: bucket.name, Key }));
    expect((await head()).WebsiteRedirectLocation).toBe(`/${source}`);
    expect((await publish('--dry-run')).lines).toContain(Key);
    expect((await publish()).lines).toContain(Key);
    const made = await head();
    expect(made.WebsiteRedirectLocation).toBeUndefined();
    expect(made).toMatchObject({ ...noted, CacheControl: 'no-cache', Metadata: noted.Metadata });
    expect(await bucket.read(Key)).toEqual(await bucket.read(source));
    expect((await publish('--dry-run')).stdout).toBe('');
    expect((await publish()).stdout).toBe('');
    // Nothing is left of the first copy, which was on trial.
    expect([...(await bucket.objects()).keys()].filter((each) => each.startsWith('carport/tmp/'))).toEqual([]);
    client.destroy();
  });

  it('is removed where it is out of date', async () => {
    await putAll({ version: 'v1.0.0' });
    await publish();
    const { stderr } = await carport.succeed([
      ...['index', 'publish', '--to', url(), '--allow-unsigned', '--base-url', BASE, '--allow-lost-signatures'],
    ]);
    expect(stderr).toContain('\nremoved: releases/index.json.minisig\nremoved: releases/v1.0.0/SHA256SUMS.minisig\n');
    expect([...(await bucket.objects()).keys()].filter((each) => each.endsWith('.minisig'))).toEqual([]);
  });

  it('is left alone by a wrong key', async () => {
    await putAll({ version: 'v1.0.0' }, { version: 'v1.1.0' });
    await publish();
    const before = await hashes();
    const other = await box().makeKey('release-2');
    const args = ['index', 'publish', '--to', url(), '--secret-key', other.file];
    const refused = await carport.run(args);
    expect([refused.exitCode, refused.stdout]).toEqual([6, '']);
    expect(refused.stderr).toContain('signed by `release-1`: `carport/ledger.json`');
    expect(await hashes()).toEqual(before);
    const { stderr } = await carport.succeed([...args, '--trusted-key', keyFile.publicKey]);
    expect(stderr).toContain(`base-url \`${BASE}\``);
    expect([...(await hashes()).keys()]).toEqual([...before.keys()]);
  });

  it(`tells of all that four jobs put and publish at once, ${ROUNDS} times`, async () => {
    await writeFile(box().path('work/garage'), 'a program');
    for (let round = 0; round < ROUNDS; round++) {
      const env = { DRONE: 'true', DRONE_TAG: `v1.${round}.0`, DRONE_COMMIT: 'a'.repeat(40) };
      const to = garage().url(bucket.name);
      await Promise.all(
        TARGETS.map(async (target) => {
          const put = ['release', 'put', 'garage', '--target', target, '--to', to, '--secret-key', keyFile.file];
          await carport.succeed(put, { env });
          await carport.succeed(publishArgs(to));
        }),
      );
      const { releases } = JSON.parse((await bucket.read('releases/index.json')).toString());
      expect(releases.length).toBe(round + 1);
      expect(releases[0].version).toBe(env.DRONE_TAG);
      expect(releases[0].targets.map(({ target }: { target: string }) => target)).toEqual(TARGETS);
      const last = await carport.succeed(publishArgs(to));
      expect([last.stdout, last.stderr]).toEqual(['', 'nothing has changed\n']);
    }
  }, 600_000);

  it('is what it would be without faults, when requests fail', async () => {
    await putAll(...TARGETS.map((target, index) => ({ version: `v1.0.${index}`, target })));
    await publish();
    const wanted = await hashes();
    for (let seed = 0; seed < 3; seed++) {
      await withObjects(async (objects) => {
        const keys = [...wanted.keys()].filter((each) => /^(releases\/|_releases\.)/.test(each));
        await objects.remove(keys);
      });
      const faults = PLAIN_FAULTS.filter((fault) => !fault.startsWith('stall'));
      proxy().chaos({ seed, probability: 0.3, timesEach: 2, faults });
      await publish();
      proxy().heal();
      expect(await hashes()).toEqual(wanted);
    }
  });

  it('is whole files, old or new, when it is killed, and is completed when it is run again', async () => {
    const versions = Array.from({ length: 30 }, (_, index) => `v1.0.${index}`);
    await putAll(...versions.map((version) => ({ version })));
    await publish();
    const old = await hashes();
    const changed = versions.map((version) => ({ version, target: TARGETS[0]!, time: '2026-11-02T12:00:00Z' }));
    await putAll(...changed, { version: 'v2.0.0' });
    await publish();
    const fresh = await hashes();
    const differing = [...fresh].filter(
      ([each, hash]) => /^(releases\/|_releases\.)/.test(each) && old.get(each) !== hash,
    );
    const reset = () => withObjects((objects) => objects.remove(differing.map(([each]) => each)));
    await reset();
    const inGarage = { ...box(), env: { ...box().env, ...garage().env } };
    await killOften(
      inGarage,
      () => publishArgs(garage().url(bucket.name)),
      killCount(4),
      async (_, at) => {
        const now = await hashes();
        for (const [each, hash] of now) expect([old.get(each), fresh.get(each)], `${at}: ${each}`).toContain(hash);
        const done = differing.filter(([each, hash]) => now.get(each) === hash).length;
        if (done === 0) return 'nothing';
        await publish();
        expect(await hashes(), at).toEqual(fresh);
        await reset();
        return done < differing.length ? 'a part' : 'all';
      },
    );
  }, 300_000);

  it('needs a key that may write', async () => {
    await putAll({ version: 'v1.0.0' });
    const reader = await garage().createKey('reader', { bucket: bucket.name, read: true });
    const env = { AWS_ACCESS_KEY_ID: reader.accessKeyId, AWS_SECRET_ACCESS_KEY: reader.secretAccessKey };
    const before = await hashes();
    const ran = await carport.run(publishArgs(), { env });
    expect([ran.exitCode, ran.stdout]).toEqual([4, '']);
    expect(ran.stderr).toContain(`garage bucket allow --write ${bucket.name}`);
    expect(await hashes()).toEqual(before);
    expect((await carport.run([...publishArgs(), '--dry-run'], { env })).exitCode).toBe(0);
  });

  it('can be tried again when the server is gone', async () => {
    await putAll({ version: 'v1.0.0' });
    await proxy().pause();
    const gone = await carport.run([...publishArgs(), '--retry-seconds', '1']);
    expect([gone.exitCode, gone.stdout]).toEqual([75, '']);
    await proxy().resume();
    // In the midst of it.
    proxy().fail({
      match: ({ method, path }) => method === 'PUT' && path.endsWith('index.json'),
      ...{ times: Number.POSITIVE_INFINITY, fault: 'reset-before' },
    });
    expect((await carport.run([...publishArgs(), '--retry-seconds', '1'])).exitCode).toBe(75);
    expect((await bucket.objects()).has('_releases.html')).toBe(false);
    proxy().heal();
    expect((await publish()).lines).toContain('_releases.html');
  });
});
