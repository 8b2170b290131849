import { randomBytes } from 'node:crypto';
import { CreateBucketCommand, HeadObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, vi } from 'vitest';
import { describeWithS3Peer, S3_PEERS } from '../../support/s3-peers.js';
import { createStores } from '../../support/stores.js';
import { describeObjectStore, type StoreUnderTest } from './conformance.js';

// Thousands of objects, of servers that write each to a disk.
vi.setConfig({ testTimeout: 240_000 });

for (const name of S3_PEERS) {
  describeWithS3Peer(name, `on ${name}`, (peer) => {
    let client: S3Client;
    /** One for all: SeaweedFS keeps large files for each. */
    const bucket = `test-${randomBytes(6).toString('hex')}`;
    beforeAll(async () => {
      const { endpoint, credentials } = peer();
      const plain = { forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED' } as const;
      client = new S3Client({ ...plain, endpoint, credentials, region: 'us-east-1' });
      await client.send(new CreateBucketCommand({ Bucket: bucket }));
    });
    afterAll(() => client.destroy());
    const headOf = async (Key: string) => {
      const head = await client.send(new HeadObjectCommand({ Bucket: bucket, Key }));
      return {
        contentType: head.ContentType!,
        ...(head.CacheControl !== undefined && { cacheControl: head.CacheControl }),
        ...(head.ContentDisposition !== undefined && { contentDisposition: head.ContentDisposition }),
      };
    };
    describeObjectStore('a directory of a bucket, with uploads in parts', async (): Promise<StoreUnderTest> => {
      const directory = `some/${randomBytes(6).toString('hex')}`;
      const stores = await createStores();
      const parts = 'multipart-threshold=1048576&multipart-chunk-size=1048576';
      const open = () =>
        stores.open(peer().url(bucket).replace('?', `/${directory}?${parts}&`), { env: peer().env }).objects;
      return {
        objects: open(),
        reopen: open,
        listsByDirectory: name === 'SeaweedFS',
        metadataOf: (key) => headOf(`${directory}/${key}`),
        async visit(key) {
          return (await open().read(key, 1024 * 1024))?.toString();
        },
        remove: () => stores.remove(),
      };
    });
  });
}
