import { createHash, randomBytes } from 'node:crypto';
import { CopyObjectCommand, type CopyObjectCommandInput, DeleteObjectCommand } from '@aws-sdk/client-s3';
import { CarportError } from '../../../lib/errors.js';
import { encodePath } from '../http/encode.js';
import type { Bucket } from './bucket.js';
import { isRefusal } from './refusal.js';

/** Copies within a bucket. `from` and `to` are whole keys. */
export interface Copier {
  copy(from: string, to: string, how?: CopyDetails): Promise<void>;
}

/** What the copy gets that its source does not have. */
export type CopyDetails = Omit<CopyObjectCommandInput, 'Bucket' | 'Key' | 'CopySource'>;

/**
 * A server that does not know `x-amz-copy-source` takes the request for the upload of an object with nothing in it. So the
 * first copy is one of an object of its own, over nothing that anybody has.
 */
export function createCopier(bucket: Bucket, temporaryKeys: string): Copier {
  const send = async (from: string, to: string, details: CopyDetails = {}) => {
    const CopySource = encodePath(`${bucket.name}/${from}`);
    const { CopyObjectResult: result } = await bucket.run(`COPY ${from}`, (client, Bucket) =>
      client.send(new CopyObjectCommand({ ...details, Bucket, Key: to, CopySource })),
    );
    if (!result?.ETag) throw notCopied(bucket);
  };
  const prove = async () => {
    const own = `${temporaryKeys}copy-${randomBytes(12).toString('hex')}`;
    const headers = { 'content-type': 'text/plain', 'content-md5': createHash('md5').update('x').digest('base64') };
    // Who may not write there may well copy elsewhere.
    if (await bucket.put({ key: own, headers, body: Buffer.from('x') }).then(() => false, isNotAllowed)) return;
    try {
      await send(own, `${own}-2`);
    } catch (error) {
      throw isRefusal(error) && error.code === 'E_UNSUPPORTED' ? notCopied(bucket, error) : error;
    } finally {
      for (const Key of [own, `${own}-2`]) {
        const remove = bucket.run(`DELETE ${Key}`, (client, Bucket) =>
          client.send(new DeleteObjectCommand({ Bucket, Key })),
        );
        await remove.catch(() => undefined);
      }
    }
  };
  let proven: Promise<void> | undefined;
  return {
    async copy(from, to, details) {
      proven ??= prove().catch((error) => {
        proven = undefined;
        throw error;
      });
      await proven;
      await send(from, to, details);
    },
  };
}

function isNotAllowed(error: unknown): true {
  if (error instanceof CarportError && error.code === 'E_CREDENTIALS') return true;
  throw error;
}

function notCopied({ name }: Bucket, cause?: unknown): CarportError {
  return new CarportError('E_UNSUPPORTED', `the server does not copy objects within \`${name}\``, {
    ...(cause !== undefined && { cause }),
    hint: 'the server lacks a part of the S3 API (CopyObject): put the files there again',
  });
}
