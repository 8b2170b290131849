/** A bucket, or a directory in one. */

import type { StorageClass } from '@aws-sdk/client-s3';
import { CarportError } from '../errors.js';
import { md5Of, restartable } from '../http/body.js';
import type { HttpClient } from '../http/client.js';
import { downloadOf, rangeHeader, readWhole } from './download.js';
import {
  BUCKET_TRAITS,
  type ByteRange,
  checkKey,
  isKey,
  LIST_PAGE,
  type ListedObject,
  type ListOptions,
  missingObject,
  type ObjectBody,
  type ObjectMetadata,
  TEMPORARY,
  type WriteStore,
} from './object-store.js';
import { statOf } from './response-headers.js';
import type { S3Location } from './s3/address.js';
import { type Bucket, openBucket } from './s3/bucket.js';
import type { Copier, CopyDetails } from './s3/copy.js';
import { nextPage } from './s3/pages.js';
import { refusalCodeOf } from './s3/refusal.js';
import type { UploadRecords } from './s3/upload-records.js';
import { createSpool } from './spool.js';

export interface S3StoreOptions {
  readonly location: S3Location;
  readonly env: NodeJS.ProcessEnv;
  readonly http: HttpClient;
  readonly records: UploadRecords;
}

/** Objects in a bucket. */
export interface S3Store extends WriteStore {
  readonly bucket: Bucket;
}

/** Opens a bucket, or a directory in one. Nothing is asked before it is used. */
export function openS3Store({ location, env, http, records }: S3StoreOptions): S3Store {
  const url = s3StoreUrl(location);
  const bucket = openBucket({ location, url, env, http });
  const spool = createSpool();
  const prefix = location.prefix === '' ? '' : `${location.prefix}/`;
  const whole = (key: string): string => prefix + checkKey(key);
  const open = async (key: string, range?: ByteRange) => {
    const answer = await bucket.ask('GET', whole(key), rangeHeader(range));
    return answer && downloadOf({ ...answer, range });
  };
  const head = async (key: string) => {
    const answer = await bucket.ask('HEAD', whole(key));
    answer?.response.discard();
    return answer?.response.headers;
  };
  const copyWhole = createCopies(bucket, prefix + TEMPORARY, location.storageClass);
  const copyTo = async (from: string, to: string, details: CopyDetails) =>
    copyWhole(whole(from), whole(to), details).catch((error) => {
      throw explainCopy(error, from, url);
    });
  return {
    url,
    bucket,
    traits: BUCKET_TRAITS,
    localFile: () => undefined,
    spoolName: () => spool.name(),
    read: (key, limit) => readWhole(() => open(key), limit, key),
    async stat(key) {
      const found = await head(key);
      return found && statOf(found);
    },
    open,
    now: () => bucket.time(whole('nix-cache-info')),
    async put(key, body, metadata) {
      await putObject(bucket, { key: whole(key), body, metadata }, { location, records });
    },
    copy: (from, to) => copyTo(from, to, {}),
    async alias(from, to, { dryRun = false } = {}) {
      const [source, there] = await Promise.all([head(from), head(to)]);
      if (!source) throw missingObject(from, url);
      const { readerCopyOf } = await import('./s3/reader-copy.js');
      const copy = readerCopyOf(whole(from), source);
      if (copy.isIt(there)) return false;
      if (!dryRun) await copyTo(from, to, copy.details);
      return true;
    },
    list: (options) => listBucket(bucket, prefix, options),
    async remove(keys) {
      await removeAll(bucket, keys.map(whole));
    },
    async removeUnfinished(below) {
      const { removeUploads } = await import('./s3/bucket-settings.js');
      return removeUploads(bucket, prefix + below);
    },
    async close() {
      http.close();
      await spool.remove();
    },
  };
}

interface NewObject {
  readonly key: string;
  readonly body: ObjectBody;
  readonly metadata: ObjectMetadata;
}

/** Puts an object with one request, or a large file in parts. */
async function putObject(
  bucket: Bucket,
  { key, body, metadata }: NewObject,
  { location, records }: Pick<S3StoreOptions, 'location' | 'records'>,
): Promise<void> {
  const { storageClass, multipartThreshold, partSize } = location;
  if (!(body instanceof Uint8Array) && body.size >= multipartThreshold) {
    const { uploadInParts } = await import('./s3/multipart.js');
    return uploadInParts(bucket, records, { key, file: body, partSize, metadata, storageClass });
  }
  const headers = {
    ...metadataHeaders(metadata),
    ...(storageClass !== undefined && { 'x-amz-storage-class': storageClass }),
    'content-md5': (await md5Of(body)).toString('base64'),
  };
  await bucket.put({ key, headers, body: restartable(body) });
}

/** Copies within a bucket. What is needed for that is loaded by the first copy. */
function createCopies(bucket: Bucket, temporary: string, storageClass: string | undefined): Copier['copy'] {
  let copier: Copier | undefined;
  return async (from, to, details) => {
    const { createCopier } = await import('./s3/copy.js');
    copier ??= createCopier(bucket, temporary);
    await copier.copy(from, to, { ...details, StorageClass: storageClass as StorageClass | undefined });
  };
}

function explainCopy(error: unknown, from: string, url: string): unknown {
  const code = refusalCodeOf(error);
  if (code === 'NoSuchKey') return missingObject(from, url);
  // Amazon copies up to 5 GiB at once.
  if (code !== 'InvalidRequest' || !/copy source/.test(String((error as Error).cause))) return error;
  return new CarportError('E_UNSUPPORTED', `\`${from}\` is too large for \`${url}\` to copy it`, {
    cause: error,
    hint: 'files of up to 5 GiB can be copied there: publish larger ones in parts',
  });
}

/** The URL for messages and for `nix.conf`: what says where it is, and nothing else. */
export function s3StoreUrl({ bucket, prefix, endpoint, region, profile }: S3Location): string {
  const parameters = new URLSearchParams({
    ...(endpoint !== undefined && { endpoint }),
    ...(region !== undefined && { region }),
    ...(profile !== undefined && { profile }),
  });
  const query = decodeURIComponent(parameters.toString());
  return `s3://${bucket}${prefix === '' ? '' : `/${prefix}`}${query === '' ? '' : `?${query}`}`;
}

function metadataHeaders({ contentType, cacheControl, contentDisposition }: ObjectMetadata): Record<string, string> {
  return {
    'content-type': contentType,
    ...(cacheControl !== undefined && { 'cache-control': cacheControl }),
    ...(contentDisposition !== undefined && { 'content-disposition': contentDisposition }),
  };
}

async function* listBucket(
  bucket: Bucket,
  root: string,
  { prefix = '', recursive = false }: ListOptions,
): AsyncGenerator<ListedObject> {
  const { ListObjectsV2Command } = await import('@aws-sdk/client-s3');
  for (let token: string | undefined; ; ) {
    const page = await bucket.run('LIST', (client, Bucket) =>
      client.send(
        new ListObjectsV2Command({
          ...{ Bucket, Prefix: root + prefix, EncodingType: 'url', ContinuationToken: token },
          ...(!recursive && { Delimiter: '/' }),
        }),
      ),
    );
    for (const { Key = '', Size = 0, LastModified, ETag = '' } of page.Contents ?? []) {
      const whole = decodeKey(Key);
      const key = whole?.startsWith(root + prefix) ? whole.slice(root.length) : undefined;
      // Others may have put there what no cache has.
      if (key === undefined || !isKey(key)) continue;
      // What was sent in parts has another tag.
      const md5 = /^"?(?<md5>[0-9a-f]{32})"?$/.exec(ETag)?.groups?.md5;
      yield { key, size: Size, modified: LastModified ?? new Date(0), ...(md5 !== undefined && { md5 }) };
    }
    if (!page.IsTruncated) return;
    token = nextPage('objects', token, page.NextContinuationToken);
  }
}

/** `undefined` for what is not percent-encoded as it should be. */
function decodeKey(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

async function removeAll(bucket: Bucket, keys: readonly string[]): Promise<void> {
  for (let at = 0; at < keys.length; at += LIST_PAGE) await removeBatch(bucket, keys.slice(at, at + LIST_PAGE));
}

async function removeBatch(bucket: Bucket, keys: readonly string[]): Promise<void> {
  const { DeleteObjectsCommand } = await import('@aws-sdk/client-s3');
  const Delete = { Objects: keys.map((Key) => ({ Key })), Quiet: true };
  const { Errors = [] } = await bucket.run('DELETE', (client, Bucket) =>
    client.send(new DeleteObjectsCommand({ Bucket, Delete })),
  );
  const [failed] = Errors;
  if (!failed) return;
  throw new CarportError('E_REMOTE', `\`${failed.Key}\` in the bucket \`${bucket.name}\` cannot be removed`, {
    cause: new Error(`${failed.Code}: ${failed.Message}`),
  });
}
