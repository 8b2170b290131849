import { CreateMultipartUploadCommand, PutBucketLifecycleConfigurationCommand } from '@aws-sdk/client-s3';
import { expect, it } from 'vitest';
import {
  abortOldUploads,
  ensureBucket,
  readBucketSettings,
  removeUploads,
  setPublic,
} from '#cache/object-store/s3/bucket-settings.js';
import { describeWithGarage, useGarage } from '../../../support/garage.js';
import { useStores } from '../../../support/stores.js';

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
