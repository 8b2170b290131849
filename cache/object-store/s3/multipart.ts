import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  type StorageClass,
} from '@aws-sdk/client-s3';
import pLimit from 'p-limit';
import { CarportError } from '../../../lib/errors.js';
import { md5OfRange, restartableRange } from '../body.js';
import type { ObjectMetadata } from '../object-store.js';
import type { Bucket } from './bucket.js';
import { refusalCodeOf } from './refusal.js';
import type { KeptRecord, UploadRecord, UploadRecords } from './upload-records.js';

export interface Upload {
  /** The whole key in the bucket. */
  readonly key: string;
  readonly file: { readonly path: string; readonly size: number };
  /** Bytes of a part, as far as S3's limit of their number allows it. */
  readonly partSize: number;
  readonly metadata: ObjectMetadata;
  readonly storageClass: string | undefined;
}

/** Parts of one object that are sent at a time. */
const PARTS_AT_ONCE = 4;

/** S3's limit. */
const MAX_PARTS = 10_000;

/** Own uploads that nobody went on with in this time are removed. */
const STALE_MS = 24 * 60 * 60 * 1000;

/**
 * Uploads a file in parts. An upload that a process of this machine left unfinished is gone on with: parts that are
 * there with the right MD5 are not sent again. A server that is gone leaves the parts for a later run; every other
 * failure, and an interrupt, removes them.
 */
export async function uploadInParts(bucket: Bucket, records: UploadRecords, upload: Upload): Promise<void> {
  const { store, all } = { store: await storeOf(bucket), all: { bucket, records } };
  await removeStaleUploads(all, store);
  let begun = (await resumeUpload(all, store, upload)) ?? (await beginUpload(all, store, upload));
  for (let lost = false; ; lost = true) {
    try {
      await sendParts(bucket, begun, upload.file);
      await records.forget(begun.kept);
      if (begun.twins) await removeTwins(bucket, begun);
      return;
    } catch (error) {
      if (!isNoSuchUpload(error)) {
        if (!isUnavailable(error)) await abortUpload(all, begun.kept);
        throw error;
      }
      // Finished by a try whose answer was lost, or removed by somebody else.
      await records.forget(begun.kept);
      if ((await sizeOf(bucket, upload.key)) === upload.file.size) return;
      if (lost) throw error;
      begun = await beginUpload(all, store, upload);
    }
  }
}

interface Uploads {
  readonly bucket: Bucket;
  readonly records: UploadRecords;
}

interface BegunUpload {
  readonly kept: KeptRecord;
  /** MD5 in hex by number, of the parts that are there. */
  readonly parts: ReadonlyMap<number, string>;
  /** When a try to begin it was made of which no answer came: it may have begun another. */
  readonly twins?: { readonly since: number; readonly until: number };
}

async function storeOf(bucket: Bucket): Promise<string> {
  return `${(await bucket.address()).endpoint.href} ${bucket.name}`;
}

async function beginUpload(
  { bucket, records }: Uploads,
  store: string,
  { key, file: { size }, partSize, metadata, storageClass }: Upload,
): Promise<BegunUpload> {
  const { contentType: ContentType, cacheControl: CacheControl } = metadata;
  const StorageClass = storageClass as StorageClass | undefined;
  const since = Date.now();
  const { UploadId: uploadId, $metadata } = await bucket.run(`upload of ${key}`, (client, Bucket) =>
    client.send(new CreateMultipartUploadCommand({ Bucket, Key: key, ContentType, CacheControl, StorageClass })),
  );
  const again = ($metadata.attempts ?? 1) > 1;
  const fitting = Math.max(partSize, Math.ceil(size / MAX_PARTS));
  const record = { store, key, uploadId: uploadId!, size, partSize: fitting, begun: Date.now() };
  const twins = again && { twins: { since, until: Date.now() } };
  return { kept: await records.keep(record), parts: new Map(), ...twins };
}

/** Clocks of this machine and the server may differ by so much. */
const CLOCK_MARGIN_MS = 60_000;

/** Removes the uploads of this key that tries without an answer began. */
async function removeTwins(bucket: Bucket, { kept, twins }: BegunUpload): Promise<void> {
  const { key, uploadId } = kept.record;
  const { Uploads = [] } = await bucket.run(`upload of ${key}`, (client, Bucket) =>
    client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: key })),
  );
  for (const { Key, UploadId, Initiated } of Uploads) {
    const begun = Initiated?.getTime() ?? 0;
    const ours = begun >= twins!.since - CLOCK_MARGIN_MS && begun <= twins!.until + CLOCK_MARGIN_MS;
    if (Key !== key || UploadId === uploadId || !ours) continue;
    await bucket.run(`upload of ${key}`, (client, Bucket) =>
      client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })),
    );
  }
}

/** The upload that a process that is gone left of this file. What else was left of the key is removed. */
async function resumeUpload(uploads: Uploads, store: string, { key, file }: Upload): Promise<BegunUpload | undefined> {
  const left = await uploads.records.takeOver((record) => record.store === store && record.key === key);
  let resumed: BegunUpload | undefined;
  for (const kept of left) {
    const usable = resumed === undefined && kept.record.size === file.size;
    const parts = usable ? await listParts(uploads.bucket, kept.record) : undefined;
    if (parts) resumed = { kept, parts };
    else await abortUpload(uploads, kept);
  }
  return resumed;
}

async function removeStaleUploads(uploads: Uploads, store: string): Promise<void> {
  const isStale = (record: UploadRecord) => record.store === store && Date.now() - record.begun > STALE_MS;
  for (const kept of await uploads.records.takeOver(isStale)) await abortUpload(uploads, kept);
}

/** `undefined` when there is no such upload any more. */
async function listParts(
  bucket: Bucket,
  { key, uploadId }: UploadRecord,
): Promise<ReadonlyMap<number, string> | undefined> {
  const parts = new Map<number, string>();
  try {
    for (let marker: string | undefined; ; ) {
      const page = await bucket.run(`parts of ${key}`, (client, Bucket) =>
        client.send(new ListPartsCommand({ Bucket, Key: key, UploadId: uploadId, PartNumberMarker: marker })),
      );
      for (const { PartNumber, ETag } of page.Parts ?? []) parts.set(PartNumber!, ETag!.replaceAll('"', ''));
      if (!page.IsTruncated) return parts;
      marker = page.NextPartNumberMarker;
    }
  } catch (error) {
    if (isNoSuchUpload(error)) return undefined;
    throw error;
  }
}

async function sendParts(bucket: Bucket, { kept, parts }: BegunUpload, file: Upload['file']): Promise<void> {
  const { key, uploadId, partSize, size } = kept.record;
  const limit = pLimit(PARTS_AT_ONCE);
  const failure = new AbortController();
  const sendPart = async (number: number) => {
    failure.signal.throwIfAborted();
    const start = (number - 1) * partSize;
    const length = Math.min(partSize, size - start);
    const md5 = await md5OfRange(file.path, start, length);
    if (parts.get(number) !== md5.toString('hex')) {
      await bucket.put({
        key,
        query: { partNumber: String(number), uploadId },
        headers: { 'content-md5': md5.toString('base64') },
        body: restartableRange(file.path, start, length),
      });
    }
    return { PartNumber: number, ETag: `"${md5.toString('hex')}"` };
  };
  const numbers = Array.from({ length: Math.max(1, Math.ceil(size / partSize)) }, (_, index) => index + 1);
  const sending = numbers.map((number) => limit(() => sendPart(number)));
  for (const part of sending) part.catch((error) => failure.abort(error));
  await Promise.allSettled(sending);
  failure.signal.throwIfAborted();
  const MultipartUpload = { Parts: await Promise.all(sending) };
  await bucket.run(`upload of ${key}`, (client, Bucket) =>
    client.send(new CompleteMultipartUploadCommand({ Bucket, Key: key, UploadId: uploadId, MultipartUpload })),
  );
}

async function sizeOf(bucket: Bucket, key: string): Promise<number | undefined> {
  const answer = await bucket.ask('HEAD', key);
  answer?.response.discard();
  return answer && Number(answer.response.headers['content-length']);
}

/** Best effort: what it leaves the bucket's lifecycle removes, or a later run. */
async function abortUpload({ bucket, records }: Uploads, kept: KeptRecord): Promise<void> {
  const { key, uploadId } = kept.record;
  try {
    await bucket.cleanUp(`upload of ${key}`, (client, Bucket) =>
      client.send(new AbortMultipartUploadCommand({ Bucket, Key: key, UploadId: uploadId })),
    );
  } catch (error) {
    if (!isNoSuchUpload(error)) return;
  }
  await records.forget(kept);
}

function isNoSuchUpload(error: unknown): boolean {
  return refusalCodeOf(error) === 'NoSuchUpload';
}

function isUnavailable(error: unknown): boolean {
  return error instanceof CarportError && error.code === 'E_UNAVAILABLE';
}
