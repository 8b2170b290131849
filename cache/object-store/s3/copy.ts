import { randomBytes } from 'node:crypto';
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
 * first copy comes after one of an object that is not there, to a key of nobody: a server that copies writes nothing.
 */
export function createCopier(bucket: Bucket): Copier {
  const send = async (from: string, to: string, details: CopyDetails = {}) => {
    const CopySource = encodePath(`${bucket.name}/${from}`);
    const { CopyObjectResult: result } = await bucket.run(`COPY ${from}`, (client, Bucket) =>
      client.send(new CopyObjectCommand({ ...details, Bucket, Key: to, CopySource })),
    );
    return result?.ETag;
  };
  const probe = async (directory: string) => {
    const [missing, target] = [1, 2].map(() => `${directory}.${randomBytes(12).toString('hex')}`) as [string, string];
    try {
      await send(missing, target);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (error.code !== 'E_UNSUPPORTED') return;
    }
    await bucket.run(`DELETE ${target}`, (client, Bucket) =>
      client.send(new DeleteObjectCommand({ Bucket, Key: target })),
    );
    throw notCopied(bucket);
  };
  let probed: Promise<void> | undefined;
  return {
    async copy(from, to, how) {
      probed ??= probe(to.slice(0, to.lastIndexOf('/') + 1)).catch((error) => {
        probed = undefined;
        throw error;
      });
      await probed;
      if (!(await send(from, to, how))) throw notCopied(bucket);
    },
  };
}

function notCopied({ name }: Bucket): CarportError {
  return new CarportError('E_UNSUPPORTED', `the server does not copy objects within \`${name}\``, {
    hint: 'the server lacks a part of the S3 API (CopyObject): put the files there again',
  });
}
