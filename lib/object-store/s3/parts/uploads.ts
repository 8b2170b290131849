/** Uploads in parts that nobody has finished, whoever began them. */

import { AbortMultipartUploadCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import type { Bucket } from '../bucket.js';
import { unless, unlessRefused } from '../bucket-settings.js';
import { nextPage } from '../pages.js';

/** An upload of which no object has come yet. */
export interface UnfinishedUpload {
  /** As the bucket has it. */
  readonly key: string;
  readonly id: string;
  /** When it was begun, by the server's clock, where that tells. */
  readonly begun: Date | undefined;
}

/** The uploads below a prefix that nobody has finished; nothing where the server or the key does not let them be seen. */
export async function listUploads(bucket: Bucket, prefix: string): Promise<readonly UnfinishedUpload[]> {
  const found = new Map<string, UnfinishedUpload>();
  // MinIO lists by prefix no more than the upload of that very key. Without, a policy may forbid it.
  for (const Prefix of new Set([prefix === '' ? undefined : prefix, undefined])) {
    const listed = await unlessRefused(listAll(bucket, Prefix, prefix));
    for (const upload of listed ?? []) found.set(`${upload.key}\n${upload.id}`, upload);
  }
  return [...found.values()];
}

/** Removes an upload; false where its owner has finished it, or removed it. */
export async function abortUpload(bucket: Bucket, { key, id }: UnfinishedUpload): Promise<boolean> {
  const abort = bucket.run(`DELETE ${key}?uploadId`, (client, Bucket) =>
    client.send(new AbortMultipartUploadCommand({ Bucket, Key: key, UploadId: id })),
  );
  return (await unless('NoSuchUpload', abort)) !== undefined;
}

/** Removes the uploads below a prefix that nobody has finished; the number of them. */
export async function removeUploads(bucket: Bucket, prefix: string): Promise<number> {
  const remove = async (uploads: readonly UnfinishedUpload[]) => {
    let removed = 0;
    for (const upload of uploads) if (await abortUpload(bucket, upload)) removed++;
    return removed;
  };
  const removed = await remove(await listAll(bucket, prefix, prefix));
  if (prefix === '') return removed;
  // As above.
  return removed + ((await unlessRefused(listAll(bucket, undefined, prefix).then(remove))) ?? 0);
}

async function listAll(
  bucket: Bucket,
  Prefix: string | undefined,
  prefix: string,
): Promise<readonly UnfinishedUpload[]> {
  const found: UnfinishedUpload[] = [];
  for (let at: UploadsMarker = {}; ; ) {
    const list = bucket.run('GET ?uploads', (client, Bucket) =>
      client.send(new ListMultipartUploadsCommand({ Bucket, Prefix, ...at })),
    );
    // rclone's words for none.
    const page = await unless('NoSuchUpload', list);
    if (page === undefined) return found;
    for (const { Key: key = '', UploadId: id = '', Initiated } of page.Uploads ?? []) {
      // Without them, or if the server does not look at the prefix, the request would be about something else.
      if (key !== '' && id !== '' && key.startsWith(prefix)) found.push({ key, id, begun: Initiated });
    }
    if (!page.IsTruncated) return found;
    const { NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page;
    nextPage('uploads', placeOf(at), placeOf({ KeyMarker, UploadIdMarker }));
    at = { KeyMarker, UploadIdMarker };
  }
}

interface UploadsMarker {
  readonly KeyMarker?: string | undefined;
  readonly UploadIdMarker?: string | undefined;
}

function placeOf({ KeyMarker, UploadIdMarker = '' }: UploadsMarker): string | undefined {
  return KeyMarker && `${KeyMarker}\n${UploadIdMarker}`;
}
