/** A bucket, or a directory in one. */

import { hash } from 'node:crypto';
import type { StorageClass } from '@aws-sdk/client-s3';
import { CarportError, hasCode } from '../errors.js';
import { TEMPORARY } from '../filesystem/temporary.js';
import type { HttpClient } from '../http/client.js';
import { downloadOf, isShortRange, rangeHeader, readWhole } from './download.js';
import {
  BUCKET_TRAITS,
  type ByteRange,
  checkKey,
  LIST_PAGE,
  missingObject,
  type ObjectBody,
  type ObjectMetadata,
  type ServedObject,
  type WriteStore,
} from './object-store.js';
import { statOf } from './response-headers.js';
import type { S3Location } from './s3/address.js';
import { type Bucket, openBucket } from './s3/bucket.js';
import type { Copier, CopyDetails } from './s3/copy.js';
import type { Listing } from './s3/listing.js';
import type { Upload } from './s3/parts/multipart.js';
import { createPartMemory, type ReadPart } from './s3/parts/part-memory.js';
import type { UploadRecords } from './s3/parts/upload-records.js';
import { refusalCodeOf } from './s3/refusal.js';
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
  const open = async (key: string, range?: ByteRange, isShort = isShortRange(range)) => {
    const answer = await bucket.ask('GET', whole(key), { headers: rangeHeader(range), isShort });
    return answer && downloadOf({ ...answer, range });
  };
  const head = async (key: string) => {
    const answer = await bucket.ask('HEAD', whole(key), { isShort: true });
    answer?.response.discard();
    return answer?.response.headers;
  };
  const sending = createSending(bucket, prefix, { location, records });
  const copyWhole = createCopies(bucket, prefix + TEMPORARY, location.storageClass);
  const copyTo = async (from: string, to: string, details: CopyDetails) =>
    copyWhole({ bucket: bucket.name, key: whole(from) }, whole(to), details).catch((error) => {
      throw explainCopy(error, from, url);
    });
  return {
    url,
    bucket,
    traits: BUCKET_TRAITS,
    localFile: () => undefined,
    spoolName: () => spool.name(),
    read: (key, limit) => readWhole(() => open(key, undefined, true), limit, key),
    async stat(key) {
      const found = await head(key);
      return found && statOf(found);
    },
    open: (key, range) => open(key, range),
    now: () => bucket.time(whole('nix-cache-info')),
    async put(key, body, metadata) {
      await putObject(bucket, { key: whole(key), body, metadata }, sending);
    },
    copy: (from, to) => copyTo(from, to, {}),
    servedAs: async (key) => ({ server: await serverOf(bucket), bucket: bucket.name, key: whole(key) }),
    takeServed: createTaking(bucket, (from, to) => copyWhole(from, whole(to), {})),
    async alias(from, to, { dryRun = false } = {}) {
      const [source, there] = await Promise.all([head(from), head(to)]);
      if (!source) throw missingObject(from, url);
      const { readerCopyOf } = await import('./s3/reader-copy.js');
      const copy = readerCopyOf(whole(from), source);
      if (copy.isIt(there)) return false;
      if (!dryRun) await copyTo(from, to, copy.details);
      return true;
    },
    list: createList(bucket, prefix),
    async remove(keys) {
      await removeAll(bucket, keys.map(whole));
    },
    removeUnfinished: async (below) => (await import('./s3/parts/uploads.js')).removeUploads(bucket, prefix + below),
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

/** What objects are sent with. */
type Sending = Pick<S3StoreOptions, 'location' | 'records'> & Pick<Upload, 'takesSmallParts' | 'memory'>;

function createSending(bucket: Bucket, prefix: string, given: Pick<Sending, 'location' | 'records'>): Sending {
  return { ...given, takesSmallParts: createAsking(bucket, prefix + TEMPORARY), memory: createPartMemory() };
}

/** Puts an object with one request, or a large file in parts. */
async function putObject(
  bucket: Bucket,
  { key, body, metadata }: NewObject,
  { location, records, takesSmallParts, memory }: Sending,
): Promise<void> {
  const { storageClass, multipartThreshold, partSize } = location;
  const send = async ({ md5, body }: ReadPart): Promise<void> => {
    const headers = {
      ...metadataHeaders(metadata),
      ...(storageClass !== undefined && { 'x-amz-storage-class': storageClass }),
      'content-md5': md5.toString('base64'),
    };
    await bucket.put({ key, headers, body });
  };
  if (body instanceof Uint8Array) return send({ md5: hash('md5', body, 'buffer'), body });
  if (body.size < multipartThreshold) return memory.hold({ ...body, start: 0 }, send);
  const { uploadInParts } = await import('./s3/parts/multipart.js');
  const parts = { partSize, takesSmallParts, memory };
  return uploadInParts(bucket, records, { key, file: body, ...parts, metadata, storageClass });
}

/** Lists a bucket. What is needed for that is loaded by the first listing. */
function createList(bucket: Bucket, root: string): WriteStore['list'] {
  let listing: Promise<Listing> | undefined;
  return async function* list(options) {
    listing ??= import('./s3/listing.js').then(({ createListing }) => createListing(bucket, root));
    yield* (await listing)(options);
  };
}

/** Asks once how small parts may be. */
function createAsking(bucket: Bucket, temporary: string): Upload['takesSmallParts'] {
  let answer: Promise<boolean> | undefined;
  return () => {
    answer ??= import('./s3/parts/smallest-part.js').then((asking) => asking.takesSmallParts(bucket, temporary));
    return answer;
  };
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

async function serverOf(bucket: Bucket): Promise<string> {
  return (await bucket.address()).endpoint.href;
}

/** Copies from other buckets, until the server says that it does not, or that this key may not read there. */
function createTaking(
  bucket: Bucket,
  copy: (from: ServedObject, to: string) => Promise<void>,
): NonNullable<WriteStore['takeServed']> {
  const refused = new Set<string>();
  return async (from, to) => {
    if (refused.has(from.bucket) || from.server !== (await serverOf(bucket))) return false;
    try {
      await copy(from, to);
      return true;
    } catch (error) {
      if (hasCode(error, 'E_CREDENTIALS', 'E_UNSUPPORTED')) refused.add(from.bucket);
      else if (!hasCode(error, 'E_REMOTE', 'E_NOT_FOUND')) throw error;
      return false;
    }
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
  const message = `\`${failed.Key}\` in the bucket \`${bucket.name}\` cannot be removed`;
  throw new CarportError(failed.Code === 'AccessDenied' ? 'E_CREDENTIALS' : 'E_REMOTE', message, {
    cause: new Error(`${failed.Code}: ${failed.Message}`),
    hint: 'see whether the access key may remove objects, and what the server keeps (locks, policies)',
  });
}
