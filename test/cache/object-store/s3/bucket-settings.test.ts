import { CreateMultipartUploadCommand, PutBucketLifecycleConfigurationCommand } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import {
  abortOldUploads,
  ensureBucket,
  readBucketSettings,
  removeUploads,
  setPublic,
} from '#cache/object-store/s3/bucket-settings.js';
import { type Asked, errorReply, useFakeBucket, xml } from '../../../support/fake-bucket.js';
import { describeWithGarage, useGarage } from '../../../support/garage.js';
import { useStores } from '../../../support/stores.js';

describe('the settings of a bucket, as servers answer', () => {
  const open = useFakeBucket();
  const isAbout = (what: string, { path }: Asked) => new URL(path, 'http://h').searchParams.has(what);

  const readWith = async (rules: string, prefix?: string) => {
    const lifecycle = xml(`<LifecycleConfiguration>${rules}</LifecycleConfiguration>`);
    const { store } = await open((asked) =>
      isAbout('lifecycle', asked) ? lifecycle : errorReply(404, 'NoSuchWebsiteConfiguration'),
    );
    return (await readBucketSettings(store.bucket, prefix)).abortUploadsAfterDays;
  };
  const rule = (days: number, filter = '<Filter><Prefix></Prefix></Filter>', status = 'Enabled') =>
    `<Rule><ID>r${days}</ID><Status>${status}</Status>${filter}<AbortIncompleteMultipartUpload>` +
    `<DaysAfterInitiation>${days}</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>`;
  const under = (prefix: string) => `<Filter><Prefix>${prefix}</Prefix></Filter>`;

  it.each([
    ['the earliest rule', rule(7) + rule(3) + rule(9), 3],
    ['no rule that is off', rule(7) + rule(3, undefined, 'Disabled'), 7],
    ['no rule for a part of it', rule(7) + rule(3, under('tmp/')), 7],
    ['an old rule', rule(7, '<Prefix></Prefix>') + rule(3, '<Prefix>tmp/</Prefix>'), 7],
    ['a rule without a filter', rule(5, '<Filter></Filter>') + rule(7), 5],
    [
      'no rule for certain sizes',
      rule(2, '<Filter><ObjectSizeGreaterThan>9</ObjectSizeGreaterThan></Filter>') + rule(7),
      7,
    ],
    ['nothing', rule(3, under('tmp/')), 0],
  ])('count %s for uploads', async (_, rules, days) => {
    expect(await readWith(rules)).toBe(days);
  });

  it("count rules for the cache's own directory", async () => {
    expect(await readWith(rule(7) + rule(3, under('a/')), 'a/b/')).toBe(3);
    expect(await readWith(rule(7) + rule(3, under('a/b/c/')), 'a/b/')).toBe(7);
  });

  it('do not change a website that is there', async () => {
    const website = xml(
      '<WebsiteConfiguration><IndexDocument><Suffix>x.html</Suffix></IndexDocument></WebsiteConfiguration>',
    );
    const { store, asked } = await open(() => website);
    await setPublic(store.bucket, true);
    expect(asked.map(({ method }) => method)).toEqual(['GET']);
  });

  const uploads = (ids: readonly string[], next?: readonly [key: string, id: string]) => {
    const each = ids.map((id) => `<Upload><Key>k</Key><UploadId>${id}</UploadId></Upload>`).join('');
    const more = next && `<NextKeyMarker>${next[0]}</NextKeyMarker><NextUploadIdMarker>${next[1]}</NextUploadIdMarker>`;
    return xml(
      `<ListMultipartUploadsResult><IsTruncated>${next !== undefined}</IsTruncated>${more ?? ''}${each}</ListMultipartUploadsResult>`,
    );
  };

  it('do not tell of uploads, of which some are gone before they are removed', async () => {
    const pages = [uploads(['a', 'b'], ['k', 'b']), uploads(['c'])];
    const { store, asked } = await open((each) => {
      if (each.method === 'GET') return pages.shift()!;
      return each.path.includes('uploadId=b') ? errorReply(404, 'NoSuchUpload') : { status: 204 };
    });
    expect(await removeUploads(store.bucket, '')).toBe(2);
    expect(asked.filter(({ method }) => method === 'DELETE').length).toBe(3);
  });

  it('do not tell of uploads, of which the list has to end', async () => {
    const { store } = await open(({ method }) => (method === 'GET' ? uploads([], ['k', 'x']) : { status: 204 }));
    await expect(removeUploads(store.bucket, '')).rejects.toMatchObject({ code: 'E_REMOTE' });
  });
});

describeWithGarage('the settings of a bucket', () => {
  const garage = useGarage();
  const stores = useStores();
  const open = async (name: string, env = garage().env) => (await stores()).open(garage().url(name), { env }).bucket!;

  it('of a new bucket are none', async () => {
    const bucket = await open(await garage().freshBucket());
    expect(await readBucketSettings(bucket)).toEqual({
      ...{ abortUploadsAfterDays: 0, expiresObjects: false, isPublic: false },
    });
  });

  it('are set once, beside what others set', async () => {
    const bucket = await open(await garage().freshBucket());
    const Rules = [{ ID: 'other', Status: 'Enabled', Filter: { Prefix: 'tmp/' }, Expiration: { Days: 3 } }] as const;
    await bucket.run('PUT lifecycle', (client, Bucket) =>
      client.send(
        new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules: [...Rules] } }),
      ),
    );
    expect((await readBucketSettings(bucket)).expiresObjects).toBe(true);
    expect(await abortOldUploads(bucket)).toBe(true);
    expect(await abortOldUploads(bucket)).toBe(true);
    expect(await readBucketSettings(bucket)).toMatchObject({ abortUploadsAfterDays: 7, expiresObjects: true });
  });

  it('make it public, and not', async () => {
    const bucket = await open(await garage().freshBucket());
    await setPublic(bucket, true);
    await setPublic(bucket, true);
    expect((await readBucketSettings(bucket)).isPublic).toBe(true);
    await setPublic(bucket, false);
    expect((await readBucketSettings(bucket)).isPublic).toBe(false);
  });

  it('are unknown to a key that may only read', async () => {
    const name = await garage().freshBucket();
    const { accessKeyId, secretAccessKey } = await garage().createKey('reader', { bucket: name, read: true });
    const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    const bucket = await open(name, env);
    expect(await abortOldUploads(bucket)).toBe(false);
    await expect(setPublic(bucket, true)).rejects.toMatchObject({ code: 'E_CREDENTIALS' });
    expect(await ensureBucket(bucket)).toBe(false);
  });

  it('come with the bucket, which is made where it is missing', async () => {
    const bucket = await open(`new-${Date.now()}`);
    expect(await ensureBucket(bucket)).toBe(true);
    expect(await ensureBucket(bucket)).toBe(false);
  });

  it('do not tell of uploads, which are removed below a prefix', async () => {
    const bucket = await open(await garage().freshBucket());
    for (const Key of ['nar/a', 'nar/b', 'other']) {
      await bucket.run('upload', (client, Bucket) => client.send(new CreateMultipartUploadCommand({ Bucket, Key })));
    }
    expect(await removeUploads(bucket, 'nar/')).toBe(2);
    expect(await removeUploads(bucket, '')).toBe(1);
    expect(await removeUploads(bucket, '')).toBe(0);
  });
});
