/** Copies within a bucket, and from another bucket of the same server. */

import { createHash, randomBytes } from 'node:crypto';
import { CopyObjectCommand, type CopyObjectCommandInput, DeleteObjectCommand } from '@aws-sdk/client-s3';
import { CarportError, hasCode } from '../../errors.js';
import { encodePath } from '../../http/encode.js';
import { type Bucket, sizeOf } from './bucket.js';

/** Copies within a bucket. Keys are whole keys. */
export interface Copier {
  copy(from: CopiedObject, to: string, how?: CopyDetails): Promise<void>;
}

/** What is copied. */
export interface CopiedObject {
  readonly bucket: string;
  readonly key: string;
}

/** What the copy gets that its source does not have. */
export type CopyDetails = Omit<CopyObjectCommandInput, 'Bucket' | 'Key' | 'CopySource'>;

/**
 * A server that does not know `x-amz-copy-source` takes the request for the upload of an object with nothing in it. So a
 * copy over something comes only after another has been answered as one, if need be of an object of its own below
 * `temporaryKeys`.
 */
export function createCopier(bucket: Bucket, temporaryKeys: string): Copier {
  let isProven = false;
  const send = async (from: CopiedObject, to: string, details: CopyDetails = {}) => {
    const CopySource = encodePath(`${from.bucket}/${from.key}`);
    const copying = bucket.run(`PUT ${to} (a copy of ${from.key})`, (client, Bucket) =>
      client.send(new CopyObjectCommand({ ...details, Bucket, Key: to, CopySource })),
    );
    const { CopyObjectResult: result } = await copying.catch((error) => {
      throw hasCode(error, 'E_UNSUPPORTED') ? notCopied(bucket, error) : error;
    });
    if (!result?.ETag) throw notCopied(bucket);
    isProven = true;
  };
  /** What it wrote if it did not copy. */
  const takeBack = async (keys: readonly string[]) => {
    for (const Key of keys) {
      const remove = bucket.run(`DELETE ${Key}`, (client, Bucket) =>
        client.send(new DeleteObjectCommand({ Bucket, Key })),
      );
      await remove.catch(() => undefined);
    }
  };
  const prove = async () => {
    const own = `${temporaryKeys}copy-${randomBytes(12).toString('hex')}`;
    const headers = { 'content-type': 'text/plain', 'content-md5': createHash('md5').update('x').digest('base64') };
    // Who may not write there may well copy elsewhere.
    if (await bucket.put({ key: own, headers, body: Buffer.from('x') }).then(() => false, isNotAllowed)) return;
    await send({ bucket: bucket.name, key: own }, `${own}-2`).finally(() => takeBack([own, `${own}-2`]));
  };
  let proving: Promise<void> | undefined;
  return {
    async copy(from, to, details) {
      if (isProven) return send(from, to, details);
      if ((await sizeOf(bucket, to)) !== undefined) {
        proving ??= prove().finally(() => {
          proving = undefined;
        });
        await proving;
        return send(from, to, details);
      }
      try {
        await send(from, to, details);
      } catch (error) {
        if (hasCode(error, 'E_UNSUPPORTED') && (await sizeOf(bucket, to)) === 0) await takeBack([to]);
        throw error;
      }
    },
  };
}

function isNotAllowed(error: unknown): true {
  if (hasCode(error, 'E_CREDENTIALS')) return true;
  throw error;
}

function notCopied({ name }: Bucket, cause?: unknown): CarportError {
  return new CarportError('E_UNSUPPORTED', `the server does not copy objects within \`${name}\``, {
    ...(cause !== undefined && { cause }),
    hint: 'the server lacks a part of the S3 API (CopyObject): put the files there again',
  });
}
