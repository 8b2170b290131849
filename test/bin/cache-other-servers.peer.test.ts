import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { noise } from '../support/files.js';
import { describeWithS3Peer, S3_PEERS, type S3Peer } from '../support/s3-peers.js';
import { createSampleStore, type SampleStore } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';
import { useStores, writable } from '../support/stores.js';

for (const name of S3_PEERS) {
  describeWithS3Peer(name, `a cache on ${name}`, behavesOn);
}

const FOREIGN = ['README.html', 'backup/2020', 'releases/v1/app'];

/** What servers are to do with every command that is about the bucket itself. */
function behavesOn(peer: () => S3Peer): void {
  const box = useSandbox('all');
  const stores = useStores();
  let samples: SampleStore;
  let client: S3Client;
  let bucket: string;
  beforeAll(async () => {
    samples = await createSampleStore(box().root);
    const { endpoint, credentials } = peer();
    const plain = { forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED' } as const;
    client = new S3Client({ ...plain, endpoint, credentials, region: 'us-east-1' });
  });
  beforeEach(() => {
    bucket = `test-${randomBytes(6).toString('hex')}`;
  });
  const run = (...args: readonly string[]) => box().carport(args, { env: peer().env });
  const succeed = (...args: readonly string[]) => box().succeed(args, { env: peer().env });
  const url = () => peer().url(bucket);
  const buckets = async () => ((await client.send(new ListBucketsCommand({}))).Buckets ?? []).map(({ Name }) => Name);
  const keys = async () =>
    ((await client.send(new ListObjectsV2Command({ Bucket: bucket }))).Contents ?? []).map(({ Key }) => Key!);
  const make = async (...names: readonly string[]) => {
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    for (const Key of names) await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: Key }));
  };

  it('keeps its bucket, and what others have there, through all that is set on it', async () => {
    await make(...FOREIGN);
    for (const args of [
      ['init', url()],
      ['init', url(), '--public'],
      ['config', url(), '--public'],
      ['config', url(), '--no-public'],
      ['config', url(), '--priority', '17'],
      ['config', url(), '--no-public', '--no-want-mass-query'],
      ['init', url(), '--no-public'],
      ['info', url()],
      ['config', url()],
    ]) {
      const { exitCode, stderr } = await run('cache', ...args);
      // What a server lacks is said; the rest is done.
      const wanted = exitCode === 0 ? '' : 'error[E_UNSUPPORTED]: the server does not serve';
      expect([args, stderr]).toEqual([args, expect.stringContaining(wanted)]);
      expect([args, await keys()]).toEqual([args, [...FOREIGN, 'nix-cache-info'].sort()]);
    }
    await succeed('cache', 'erase', url(), '--yes');
    expect(await keys()).toEqual(FOREIGN);
  });

  it('keeps a bucket with nothing else in it', async () => {
    await make();
    for (const args of [
      ['config', url(), '--no-public'],
      ['config', url(), '--public'],
      ['erase', url(), '--yes'],
    ]) {
      await run('cache', ...args);
      expect([args, await buckets()]).toEqual([args, expect.arrayContaining([bucket])]);
    }
    await succeed('cache', 'init', url());
    await run('cache', 'config', url(), '--no-public');
    await succeed('cache', 'erase', url(), '--yes');
    expect(await buckets()).toContain(bucket);
    expect(await keys()).toEqual([]);
  });

  it('is public where somebody without a key has read it, and not said to be so elsewhere', async () => {
    await make();
    await succeed('cache', 'init', url());
    await succeed('push', samples.top.path, '--store', samples.root, '--to', url());
    const shown = async () => JSON.parse((await succeed('cache', 'config', url(), '--json')).stdout);
    const { exitCode, stdout, stderr } = await run('cache', 'config', url(), '--public', '--priority', '3');
    if (peer().name === 'rclone') {
      expect([exitCode, stdout]).toEqual([1, '']);
      expect(stderr).toContain(`error[E_UNSUPPORTED]: the server does not serve \`${bucket}\` as a website`);
      // It has no websites of which it could tell that there is none; and a command that fails has changed nothing.
      expect(await shown()).toMatchObject({ isPublic: null, priority: null });
      return;
    }
    expect([exitCode, stderr]).toEqual([0, expect.any(String)]);
    const { isPublic, publicUrl } = await shown();
    expect([isPublic, publicUrl]).toEqual([true, `${peer().endpoint}/${bucket}`]);
    expect((await succeed('cache', 'init', url())).stderr).toContain(`without S3, reads \`${publicUrl}\``);
    const store = box().path(`public-${bucket}`);
    await box().succeed(['pull', samples.top.path, '--from', publicUrl, '--store', store, '--allow-unsigned']);
    await succeed('cache', 'config', url(), '--no-public');
    expect(await shown()).toMatchObject({ isPublic: false, priority: 3 });
    expect((await fetch(`${publicUrl}/nix-cache-info`)).status).toBe(403);
  });

  it('makes no bucket but by `cache init`', async () => {
    for (const args of [
      ['config', url(), '--public'],
      ['config', url(), '--no-public'],
      ['info', url()],
    ]) {
      expect([args, (await run('cache', ...args)).exitCode]).toEqual([args, 5]);
    }
    expect(await buckets()).not.toContain(bucket);
    const { stderr } = await succeed('cache', 'init', url());
    expect(stderr).toContain(`made the bucket \`${bucket}\``);
    expect((await succeed('cache', 'init', url())).stderr).not.toContain('made the bucket');
    expect(await buckets()).toContain(bucket);
  });

  it('is pushed to, pulled from, and erased with its unfinished uploads', async () => {
    await make(...FOREIGN);
    for (const Key of ['nar/unfinished.nar', 'backup/of-others']) {
      await client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key }));
    }
    await succeed('push', samples.top.path, '--store', samples.root, '--to', url());
    const store = box().path(`store-${bucket}`);
    const pulled = await succeed('pull', samples.top.path, '--from', url(), '--store', store, '--allow-unsigned');
    expect(pulled.lines).toContain(samples.top.path);
    await succeed('cache', 'erase', url(), '--yes');
    expect(await keys()).toEqual(FOREIGN);
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    expect(Uploads.map(({ Key }) => Key)).toEqual(['backup/of-others']);
  });

  it('has large paths in parts, pins, releases and their index, and is erased beside these', async () => {
    await make();
    const parts = `${url()}&multipart-threshold=1048576&multipart-chunk-size=1048576`;
    const { file, publicKey } = await box().makeKey('cache-1');
    const [own, other] = [box().path(`own-${bucket}`), box().path(`other-${bucket}`)];
    await writeFile(box().path('large'), noise(11 * 1024 * 1024));
    const [large] = (await succeed('store', 'add', box().path('large'), '--name', 'large+1', '--store', own)).lines;
    const push = ['push', large!, '--store', own, '--to', parts, '--secret-key', file, '--pin', 'large+1'];
    expect((await succeed(...push)).lines).toEqual([large]);
    const before = await keys();
    expect((await succeed(...push)).lines).toEqual([large]);
    expect(await keys()).toEqual(before);
    await succeed('pull', 'large+1', '--from', parts, '--store', other, '--trusted-key', publicKey);
    expect((await succeed('store', 'verify', '--store', other)).stderr).not.toContain('damaged');

    await writeFile(box().path('tool'), 'a tool');
    const [to, put] = [
      ['--cache', parts, '--secret-key', file],
      ['--to', parts, '--secret-key', file],
    ];
    for (const tag of ['v1.0.0-rc1', 'v1.0.0+build.7']) {
      await succeed(
        'release',
        'put',
        box().path('tool'),
        '--target',
        'x86_64-unknown-linux-musl',
        '--tag',
        tag,
        ...put,
      );
    }
    await succeed('release', 'promote', 'v1.0.0-rc1', '--to', 'stable', ...to);
    await succeed('index', 'publish', ...put);
    const shown = await succeed('release', 'ls', '--to', parts, '--trusted-key', publicKey, '--json');
    const { releases } = JSON.parse(shown.stdout);
    expect(releases.map(({ version }: { version: string }) => version)).toEqual([
      'v1.0.0',
      'v1.0.0+build.7',
      'v1.0.0-rc1',
    ]);
    // rclone gives the copy the time of what it is a copy of.
    expect(releases[0].targets[0].files[0].time >= releases[0].time).toBe(true);
    expect(await keys()).toEqual(
      expect.arrayContaining(['_releases/v1.0.0+build.7/x86_64-unknown-linux-musl/tool', 'releases/index.json']),
    );

    const kept = (await keys()).filter((key) => /^(_?releases|carport\/(releases|promotions|index))/.test(key));
    const erased = await succeed('cache', 'erase', parts, '--yes');
    expect(erased.stderr).toMatch(/removed ([0-9]+) of \1\n/);
    expect((await keys()).filter((key) => /narinfo|^nar\/|pins/.test(key))).toEqual([]);
    expect(await keys()).toEqual(expect.arrayContaining(kept));
  }, 240_000);

  it('has objects in parts, and copies them, also over what was there', async () => {
    await make('nar/there');
    const { open } = await stores();
    const parts = '&multipart-threshold=5242880&multipart-chunk-size=5242880';
    const objects = writable(open(`${url()}${parts}`, { env: peer().env }));
    const path = await objects.spoolName();
    const size = 11 * 1024 * 1024;
    await writeFile(path, noise(size));
    await objects.put('nar/parts', { path, size }, { contentType: 'application/x-nix-nar' });
    expect((await objects.stat('nar/parts'))?.size).toBe(size);
    await objects.copy('nar/parts', 'nar/there');
    expect((await objects.stat('nar/there'))?.size).toBe(size);
    await expect(objects.copy('nar/missing', 'nar/there')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    const dry = { dryRun: true };
    expect(await objects.alias('nar/parts', 'nar/there', dry)).toBe(true);
    expect(await objects.alias('nar/parts', 'nar/there')).toBe(true);
    expect(await objects.alias('nar/parts', 'nar/there')).toBe(false);
    expect((await objects.stat('nar/there'))?.size).toBe(size);
    expect(await keys()).toEqual(['nar/parts', 'nar/there']);
  });
}
