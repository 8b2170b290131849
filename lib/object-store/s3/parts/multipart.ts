/** Uploads in parts. */

import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListPartsCommand,
  type S3Client,
  type StorageClass,
} from '@aws-sdk/client-s3';
import { mapAtMost } from '../../../concurrency.js';
import { CarportError, hasCode } from '../../../errors.js';
import type { ObjectMetadata } from '../../object-store.js';
import { type Bucket, sizeOf } from '../bucket.js';
import { nextPage } from '../pages.js';
import { refusalCodeOf } from '../refusal.js';
import type { AnswerMetadata } from '../sdk.js';
import type { PartMemory } from './part-memory.js';
import { SAFE_PART } from './smallest-part.js';
import type { KeptRecord, UploadRecord, UploadRecords } from './upload-records.js';

export interface Upload {
  /** The whole key in the bucket. */
  readonly key: string;
  readonly file: { readonly path: string; readonly size: number };
  /** Bytes of a part, as far as S3's limit of their number allows it. */
  readonly partSize: number;
  /** Whether the server takes parts below `SAFE_PART`; asked where that matters only. */
  readonly takesSmallParts: () => Promise<boolean>;
  readonly memory: PartMemory;
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
      await sendParts(bucket, begun, upload);
      await records.forget(begun.kept);
      return;
    } catch (error) {
      if (!isNoSuchUpload(error)) {
        if (!hasCode(error, 'E_UNAVAILABLE')) await abortUpload(all, begun.kept, 'own');
        throw error;
      }
      // Finished by a try whose answer was lost, or removed by somebody else.
      await records.forget(begun.kept);
      if ((await sizeOf(bucket, upload.key)) === upload.file.size) return;
      if (lost) throw error;
    } finally {
      if (begun.beginning) await removeTwins(bucket, begun.beginning);
    }
    begun = await beginUpload(all, store, upload);
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
  readonly beginning?: Beginning;
}

/** When it was tried to begin an upload. A try without an answer may have begun one that nobody has on record. */
interface Beginning {
  readonly key: string;
  /** Of the upload that is known. */
  readonly uploadId?: string;
  /** By this machine's clock. */
  readonly since: number;
  readonly until: number;
}

async function storeOf(bucket: Bucket): Promise<string> {
  return `${(await bucket.address()).endpoint.href} ${bucket.name}`;
}

async function beginUpload({ bucket, records }: Uploads, store: string, upload: Upload): Promise<BegunUpload> {
  const { key, metadata, storageClass } = upload;
  const { contentType: ContentType, cacheControl: CacheControl, contentDisposition: ContentDisposition } = metadata;
  const described = { ContentType, CacheControl, ContentDisposition };
  const StorageClass = storageClass as StorageClass | undefined;
  const since = Date.now();
  const begin = bucket.run(`POST ${key}?uploads`, (client, Bucket) =>
    client.send(new CreateMultipartUploadCommand({ Bucket, Key: key, ...described, StorageClass })),
  );
  const { UploadId: uploadId, $metadata } = await begin.catch(async (error) => {
    await removeTwins(bucket, { key, since, until: Date.now() });
    throw error;
  });
  if (!uploadId) {
    throw new CarportError('E_UNSUPPORTED', `the server gave no id for the upload of \`${key}\` in parts`, {
      hint: 'the server lacks a part of the S3 API: raise `multipart-threshold=` in the URL above the size of its objects',
    });
  }
  const until = Date.now();
  const partSize = await fittingPartSize(upload, uploadId).catch(async (error) => {
    await abort(bucket, key, uploadId).catch(() => undefined);
    throw error;
  });
  const record = { store, key, uploadId, size: upload.file.size, partSize, begun: until };
  const wasTriedAgain = ($metadata.attempts ?? 1) > 1;
  return {
    ...{ kept: await records.keep(record), parts: new Map() },
    ...(wasTriedAgain && { beginning: { key, uploadId, since, until } }),
  };
}

/** Garage takes parts of any size: who sends it many objects is spared the question. */
const GARAGES_UPLOAD_ID = /^[0-9a-f]{64}$/;

async function fittingPartSize(
  { file: { size }, partSize, takesSmallParts }: Upload,
  uploadId: string,
): Promise<number> {
  const fitting = Math.max(partSize, Math.ceil(size / MAX_PARTS));
  // The last may be small everywhere.
  const isSafe = fitting >= Math.min(size, SAFE_PART) || GARAGES_UPLOAD_ID.test(uploadId);
  return isSafe || (await takesSmallParts()) ? fitting : SAFE_PART;
}

/** How far a server's times may be off: its `Date` has whole seconds, and comes over the network. */
const DATE_MARGIN_MS = 3_000;

/** The same where it does not tell its time. */
const CLOCK_MARGIN_MS = 60_000;

/**
 * Removes the uploads that tries without an answer began: those of this very key, begun in that time, that have no
 * parts. One that another machine began in the same seconds and has sent no part of can be among them; it is told that
 * its upload is gone, and begins again. Best effort, as `abortUpload`.
 */
async function removeTwins(bucket: Bucket, { key, uploadId, since, until }: Beginning): Promise<void> {
  const remove = async (client: S3Client, Bucket: string) => {
    const { Uploads = [], $metadata } = await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: key }));
    const serverNow = Date.parse(($metadata as Partial<AnswerMetadata>).date ?? '');
    const [ahead, margin] = Number.isNaN(serverNow) ? [0, CLOCK_MARGIN_MS] : [serverNow - Date.now(), DATE_MARGIN_MS];
    for (const { Key, UploadId, Initiated } of Uploads) {
      const begun = (Initiated?.getTime() ?? 0) - ahead;
      const fits = begun >= since - margin && begun <= until + margin;
      if (Key !== key || !UploadId || UploadId === uploadId || !fits) continue;
      const { Parts = [] } = await client.send(new ListPartsCommand({ Bucket, Key, UploadId, MaxParts: 1 }));
      if (Parts.length === 0) await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    }
  };
  const action = `GET ?uploads of ${key}`;
  // After an interrupt only the first is possible; the second is patient with a server that fails now and then.
  await bucket
    .cleanUp(action, remove)
    .catch(() => bucket.run(action, remove))
    .catch(() => undefined);
}

/** The upload that a process that is gone left of this file. What else was left of the key is removed. */
async function resumeUpload(uploads: Uploads, store: string, { key, file }: Upload): Promise<BegunUpload | undefined> {
  const left = await uploads.records.takeOver((record) => record.store === store && record.key === key);
  let resumed: BegunUpload | undefined;
  for (const kept of left) {
    const usable = resumed === undefined && kept.record.size === file.size;
    const parts = usable ? await listParts(uploads.bucket, kept.record) : undefined;
    if (parts) resumed = { kept, parts };
    else await abortUpload(uploads, kept, 'of an earlier run');
  }
  return resumed;
}

async function removeStaleUploads(uploads: Uploads, store: string): Promise<void> {
  const isStale = (record: UploadRecord) => record.store === store && Date.now() - record.begun > STALE_MS;
  for (const kept of await uploads.records.takeOver(isStale)) await abortUpload(uploads, kept, 'of an earlier run');
}

/** `undefined` when there is no such upload any more, or none that the server would know of. */
async function listParts(
  bucket: Bucket,
  { key, uploadId }: UploadRecord,
): Promise<ReadonlyMap<number, string> | undefined> {
  const parts = new Map<number, string>();
  try {
    for (let marker: string | undefined; ; ) {
      const page = await bucket.run(`GET ${key}?uploadId`, (client, Bucket) =>
        client.send(new ListPartsCommand({ Bucket, Key: key, UploadId: uploadId, PartNumberMarker: marker })),
      );
      for (const { PartNumber, ETag = '' } of page.Parts ?? []) parts.set(PartNumber!, ETag.replaceAll('"', ''));
      if (!page.IsTruncated) return parts;
      marker = nextPage('parts', marker, page.NextPartNumberMarker);
    }
  } catch (error) {
    if (isNoSuchUpload(error) || hasCode(error, 'E_UNSUPPORTED')) return undefined;
    throw error;
  }
}

async function sendParts(bucket: Bucket, { kept, parts }: BegunUpload, { file, memory }: Upload): Promise<void> {
  const { key, uploadId, partSize, size } = kept.record;
  const sendPart = (number: number) => {
    const start = (number - 1) * partSize;
    const part = { path: file.path, start, size: Math.min(partSize, size - start) };
    return memory.hold(part, async ({ md5, body }) => {
      const ETag = `"${md5.toString('hex')}"`;
      if (parts.get(number) === md5.toString('hex')) return { PartNumber: number, ETag };
      const query = { partNumber: String(number), uploadId };
      const etag = await bucket.put({ key, query, headers: { 'content-md5': md5.toString('base64') }, body });
      // Of encrypted parts it is not the MD5.
      return { PartNumber: number, ETag: etag ?? ETag };
    });
  };
  const numbers = Array.from({ length: Math.max(1, Math.ceil(size / partSize)) }, (_, index) => index + 1);
  const MultipartUpload = { Parts: [...(await mapAtMost(PARTS_AT_ONCE, numbers, sendPart))] };
  await bucket.run(`POST ${key}?uploadId`, (client, Bucket) =>
    client.send(new CompleteMultipartUploadCommand({ Bucket, Key: key, UploadId: uploadId, MultipartUpload })),
  );
}

/**
 * Best effort: what it leaves the bucket's lifecycle removes, or a later run. At the address of an earlier run another
 * server may answer by now, and one that knows of no uploads would take this for the removal of the object: so it has to
 * know this upload.
 */
async function abortUpload({ bucket, records }: Uploads, kept: KeptRecord, whose: Begun) {
  const { key, uploadId } = kept.record;
  try {
    await abort(bucket, key, uploadId, whose);
  } catch (error) {
    if (!isNoSuchUpload(error) && !hasCode(error, 'E_UNSUPPORTED')) return;
  }
  await records.forget(kept);
}

type Begun = 'own' | 'of an earlier run';

async function abort(bucket: Bucket, Key: string, UploadId: string, whose: Begun = 'own'): Promise<void> {
  await bucket.cleanUp(`DELETE ${Key}?uploadId`, async (client, Bucket) => {
    if (whose !== 'own') await client.send(new ListPartsCommand({ Bucket, Key, UploadId, MaxParts: 1 }));
    await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
  });
}

function isNoSuchUpload(error: unknown): boolean {
  return refusalCodeOf(error) === 'NoSuchUpload';
}
