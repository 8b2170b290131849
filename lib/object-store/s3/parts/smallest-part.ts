/** How small parts may be: most servers want 5 MiB, which they say when all has been sent; Garage and rclone take any. */

import { hash, randomBytes } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
} from '@aws-sdk/client-s3';
import { CarportError, hasCode } from '../../../errors.js';
import type { Bucket } from '../bucket.js';

/** Bytes of a part that every server takes. */
export const SAFE_PART = 5 * 1024 * 1024;

/**
 * Whether the server takes parts below `SAFE_PART`, that are not the last. It is asked with two of a byte, which become an
 * object below `temporaryKeys` for a moment. Where that cannot be found out it does not.
 */
export async function takesSmallParts(bucket: Bucket, temporaryKeys: string): Promise<boolean> {
  const key = `${temporaryKeys}parts-${randomBytes(12).toString('hex')}`;
  try {
    return await putTogether(bucket, key);
  } catch (error) {
    if (!(error instanceof CarportError) || hasCode(error, 'E_UNAVAILABLE')) throw error;
    return false;
  }
}

async function putTogether(bucket: Bucket, key: string): Promise<boolean> {
  const { UploadId } = await bucket.run(`POST ${key}?uploads`, (client, Bucket) =>
    client.send(new CreateMultipartUploadCommand({ Bucket, Key: key })),
  );
  if (!UploadId) return false;
  try {
    const Parts = [await putByte(bucket, key, UploadId, 1), await putByte(bucket, key, UploadId, 2)];
    await bucket.run(`POST ${key}?uploadId`, (client, Bucket) =>
      client.send(new CompleteMultipartUploadCommand({ Bucket, Key: key, UploadId, MultipartUpload: { Parts } })),
    );
    return true;
  } finally {
    await takeBack(bucket, key, UploadId);
  }
}

async function putByte(bucket: Bucket, key: string, uploadId: string, number: number) {
  const byte = Buffer.from('x');
  const md5 = hash('md5', byte, 'buffer');
  const query = { partNumber: String(number), uploadId };
  const etag = await bucket.put({ key, query, headers: { 'content-md5': md5.toString('base64') }, body: byte });
  return { PartNumber: number, ETag: etag ?? `"${md5.toString('hex')}"` };
}

/** Best effort, also after an interrupt: what is left the bucket's lifecycle removes. */
async function takeBack(bucket: Bucket, key: string, UploadId: string): Promise<void> {
  const remove = (each: AbortMultipartUploadCommand | DeleteObjectCommand) =>
    bucket.cleanUp(`DELETE ${key}`, (client) => client.send(each as DeleteObjectCommand)).catch(() => undefined);
  await remove(new AbortMultipartUploadCommand({ Bucket: bucket.name, Key: key, UploadId }));
  await remove(new DeleteObjectCommand({ Bucket: bucket.name, Key: key }));
}
