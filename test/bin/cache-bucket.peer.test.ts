import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import {
  CreateMultipartUploadCommand,
  GetBucketLifecycleConfigurationCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutBucketLifecycleConfigurationCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { createSampleStore, type SampleStore } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

const OTHER_RULE = { ID: 'of-somebody-else', Status: 'Enabled', Filter: { Prefix: 'logs/' }, Expiration: { Days: 30 } };
const OWN_RULE = {
  ID: 'carport-abort-incomplete-uploads',
  Status: 'Enabled',
  AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
};

describeWithGarage('a cache in a bucket', () => {
  const garage = useGarage();
  const box = useSandbox('all');
  let samples: SampleStore;
  let key: KeyFile;
  let client: S3Client;
  let bucket: string;
  beforeAll(async () => {
    samples = await createSampleStore(box().root);
    key = await box().makeKey('cache.example.org-1');
    client = new S3Client({
      ...{ endpoint: garage().nodes[0]!.s3Endpoint, region: garage().region, credentials: garage().credentials },
      ...{ forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED' },
    });
  });
  beforeEach(async () => {
    bucket = await garage().freshBucket();
  });
  const url = () => garage().url(bucket);
  const run = (...args: readonly string[]) => box().succeed(args, { env: garage().env });
  const runJson = async (...args: readonly string[]) => JSON.parse((await run(...args, '--json')).stdout);
  const rules = async () =>
    (await client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: bucket }))).Rules ?? [];
  const put = (name: string, body = 'x') =>
    client.send(new PutObjectCommand({ Bucket: bucket, Key: name, Body: body }));
  const keys = async () =>
    ((await client.send(new ListObjectsV2Command({ Bucket: bucket }))).Contents ?? []).map(({ Key }) => Key!);
  const push = (to: string) => run('push', samples.top.path, '--store', samples.root, '--to', to);
  const website = async () => {
    const { websitePort } = garage().nodes[0]!;
    const headers = { host: `${bucket}.web.localhost` };
    // Of a website Garage knows the bucket by the host name.
    const asked = request({ port: websitePort, path: '/nix-cache-info', headers }).end();
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    response.resume();
    return response.statusCode;
  };

  it('is made with its bucket, and made again without harm', async () => {
    bucket = `made-${bucket}`;
    const first = await run('cache', 'init', url(), '--secret-key', key.file, '--priority', '30');
    expect(first.lines).toEqual([`extra-substituters = ${url()}`, `extra-trusted-public-keys = ${key.publicKey}`]);
    expect(first.stderr).toMatch(new RegExp(`^made the bucket \`${bucket}\`.*\nmade the cache; .*nix\\.conf`));
    expect(await rules()).toMatchObject([OWN_RULE]);
    await push(url());
    const before = await keys();
    const second = await run('cache', 'init', url(), '--secret-key', key.file);
    expect(second.lines).toEqual(first.lines);
    expect(second.stderr).toMatch(/^changed the cache/);
    expect(await keys()).toEqual(before);
    expect(await rules()).toMatchObject([OWN_RULE]);
    expect(await runJson('cache', 'info', url())).toMatchObject({ priority: 30, paths: 3 });
  });

  it('is told as JSON', async () => {
    const wanted = {
      ...{ version: 1, url: url(), created: true, storeDir: '/nix/store', priority: null, wantMassQuery: true },
      publicKeys: [key.publicKey],
    };
    const args = ['cache', 'init', `${url()}&want-mass-query=1`, '--secret-key', key.file] as const;
    expect(await runJson(...args)).toEqual(wanted);
    expect(await runJson(...args)).toEqual({ ...wanted, created: false });
  });

  it('keeps the lifecycle rules of others, and warns of those that remove objects', async () => {
    const LifecycleConfiguration = { Rules: [OTHER_RULE as never] };
    await client.send(new PutBucketLifecycleConfigurationCommand({ Bucket: bucket, LifecycleConfiguration }));
    for (let times = 0; times < 2; times++) {
      await run('cache', 'init', url());
      const found = (await rules()).sort((a, b) => (a.ID! < b.ID! ? -1 : 1));
      expect(found).toMatchObject([OWN_RULE, OTHER_RULE]);
    }
    const { stderr } = await run('cache', 'config', url());
    expect(stderr).toContain('warning: a lifecycle rule of the bucket removes objects');
  });

  it('is public when that is said, and not otherwise', async () => {
    await run('cache', 'init', url());
    expect(await website()).toBe(404);
    for (const [args, status] of [
      [['init', url(), '--public'], 200],
      [['init', url()], 200],
      [['config', url(), '--no-public'], 404],
      [['init', url()], 404],
      [['config', url(), '--public'], 200],
    ] as const) {
      await run('cache', ...args);
      expect([args, await website()]).toEqual([args, status]);
      expect(await runJson('cache', 'config', url())).toMatchObject({ isPublic: status === 200 });
    }
  });

  it('shows its settings, and changes those that are given', async () => {
    await run('cache', 'init', url(), '--priority', '20');
    const shown = {
      ...{ version: 1, url: url(), storeDir: '/nix/store', priority: 20, wantMassQuery: null },
      ...{ abortUploadsAfterDays: 7, expiresObjects: false, isPublic: false },
    };
    expect(await runJson('cache', 'config', url())).toEqual(shown);
    expect(await runJson('cache', 'config', url(), '--want-mass-query')).toEqual({ ...shown, wantMassQuery: true });
    expect(await runJson('cache', 'config', url(), '--no-want-mass-query', '--priority', '5')).toEqual({
      ...shown,
      ...{ priority: 5, wantMassQuery: false },
    });
    const { lines } = await run('cache', 'config', url());
    expect(lines).toContainEqual(expect.stringMatching(/^priority: +5$/));
    expect(lines).toContainEqual(expect.stringMatching(/^isPublic: +false$/));
  });

  it('is erased with its unfinished uploads; what is not its own stays', async () => {
    await run('cache', 'init', url());
    await push(url());
    const foreign = ['README.html', 'releases/v1/carport', 'other-nar/x', `${'0'.repeat(31)}.narinfo`];
    for (const name of foreign) await put(name);
    const begin = (name: string) => client.send(new CreateMultipartUploadCommand({ Bucket: bucket, Key: name }));
    await Promise.all([begin('nar/unfinished.nar.zst'), begin('backup/of-others')]);

    const planned = (await run('cache', 'erase', url(), '--dry-run')).lines;
    // 3 narinfos, listings and NARs; no reader may see part of a cache.
    expect(planned).toHaveLength(10);
    expect(planned[0]).toBe('nix-cache-info');
    expect(planned.slice(1, 4).every((name) => name.endsWith('.narinfo'))).toBe(true);
    expect(await keys()).toHaveLength(14);

    const off = await box().carport(['cache', 'erase', url()], { env: garage().env });
    expect([off.exitCode, off.stdout]).toEqual([2, '']);
    expect(off.stderr).toMatch(/error\[E_USAGE\]: this removes `.*` for good[\s\S]*`--yes`/);
    expect(await keys()).toHaveLength(14);

    expect(await runJson('cache', 'erase', url(), '--yes')).toMatchObject({ version: 1, removed: 10, others: 4 });
    expect(await keys()).toEqual(foreign.sort());
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    expect(Uploads.map(({ Key }) => Key)).toEqual(['backup/of-others']);
    // There is nothing to ask about any more.
    expect(await runJson('cache', 'erase', url())).toMatchObject({ removed: 0, others: 4 });
  });

  it('in a directory of a bucket is apart from the rest of it', async () => {
    const inner = url().replace('?', '/team/cache?');
    for (const each of [url(), inner]) {
      await run('cache', 'init', each);
      await push(each);
    }
    const all = await keys();
    expect(all.filter((name) => name.startsWith('team/cache/'))).toHaveLength(10);
    await run('cache', 'erase', inner, '--yes');
    expect(await keys()).toEqual(all.filter((name) => !name.startsWith('team/')));
    expect((await run('cache', 'ls', url())).lines).toEqual([...samples.paths].sort());
  });
});
