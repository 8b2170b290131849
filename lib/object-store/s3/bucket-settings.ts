/** Lifecycle, website, the bucket itself. */

import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  DeleteBucketWebsiteCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketWebsiteCommand,
  type LifecycleRule,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutBucketLifecycleConfigurationCommand,
  PutBucketWebsiteCommand,
} from '@aws-sdk/client-s3';
import { CarportError, hasCode } from '../../errors.js';
import type { Bucket } from './bucket.js';
import { nextPage } from './pages.js';
import { hidesListing, isRefusal, refusalCodeOf } from './refusal.js';

/** What is set on a bucket itself; `null` where the server or the key does not let it be seen. */
export interface BucketSettings {
  /** Days after which uploads that nobody finished are removed; 0 for never. */
  readonly abortUploadsAfterDays: number | null;
  /** Whether a lifecycle rule removes objects by age, which breaks closures. */
  readonly expiresObjects: boolean | null;
  /** Whether the bucket is served as a website, to everybody. */
  readonly isPublic: boolean | null;
}

const RULE_ID = 'carport-abort-incomplete-uploads';

/** Long enough for a laptop that was shut over a week-end. */
const ABORT_AFTER_DAYS = 7;

const RULE: LifecycleRule = {
  ID: RULE_ID,
  Status: 'Enabled',
  Filter: { Prefix: '' },
  AbortIncompleteMultipartUpload: { DaysAfterInitiation: ABORT_AFTER_DAYS },
};

/** `prefix` is the directory of the cache, with its slash: rules for others do not concern it. */
export async function readBucketSettings(bucket: Bucket, prefix = ''): Promise<BucketSettings> {
  const [rules, website] = await Promise.all([unlessRefused(readRules(bucket)), unlessRefused(hasWebsite(bucket))]);
  const enabled = rules?.filter(({ Status }) => Status === 'Enabled');
  return {
    abortUploadsAfterDays: enabled ? daysOfUploads(enabled, prefix) : null,
    expiresObjects: enabled?.some(({ Expiration }) => Expiration !== undefined) ?? null,
    isPublic: website ?? null,
  };
}

/** Of several rules the earliest counts. */
function daysOfUploads(rules: readonly LifecycleRule[], prefix: string): number {
  const days = rules
    .filter((rule) => covers(rule, prefix))
    .flatMap((rule) => rule.AbortIncompleteMultipartUpload?.DaysAfterInitiation ?? []);
  return days.length === 0 ? 0 : Math.min(...days);
}

function covers({ Filter, Prefix }: LifecycleRule, prefix: string): boolean {
  const { Prefix: filtered, ...others } = Filter ?? {};
  const isNarrower = Object.values(others).some((value) => value !== undefined);
  return !isNarrower && prefix.startsWith(filtered ?? Prefix ?? '');
}

/**
 * Makes the bucket when it is not there; true when it was made. Only an answer that says so is a reason: the bucket may
 * well be there when the key may not look, or the server is in trouble.
 */
export async function ensureBucket(bucket: Bucket): Promise<boolean> {
  try {
    await bucket.run('LIST', (client, Bucket) => client.send(new ListObjectsV2Command({ Bucket, MaxKeys: 1 })));
    return false;
  } catch (error) {
    // What the key may do here is found out when it does it.
    if (hidesListing(error)) return false;
    // A listing is about no key, whatever some servers say.
    if (!['NoSuchBucket', 'NoSuchKey'].includes(refusalCodeOf(error) ?? '')) throw error;
  }
  try {
    await bucket.run('CREATE', (client, Bucket) => client.send(new CreateBucketCommand({ Bucket })));
    return true;
  } catch (error) {
    if (isOfCreation(error)) return false;
    throw error;
  }
}

/**
 * Lets the server remove uploads that nobody finished; other rules stay. Gives why it does not where the server or the
 * key refuses that: a cache does not need it.
 */
export async function abortOldUploads(bucket: Bucket): Promise<CarportError | undefined> {
  try {
    const rules = await readRules(bucket);
    if (rules.some(isOwnRule)) return undefined;
    const Rules = [...rules.filter(({ ID }) => ID !== RULE_ID), RULE];
    await bucket.run('PUT lifecycle', (client, Bucket) =>
      client.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } })),
    );
    // Some servers take a rule and drop it.
    if ((await readRules(bucket)).some(isOwnRule)) return undefined;
    return new CarportError('E_UNSUPPORTED', 'the server does not keep the rule that it took');
  } catch (error) {
    if (isRefusal(error)) return error;
    throw error;
  }
}

function isOwnRule({ ID, Status, AbortIncompleteMultipartUpload }: LifecycleRule): boolean {
  const days = AbortIncompleteMultipartUpload?.DaysAfterInitiation;
  return ID === RULE_ID && Status === 'Enabled' && days === ABORT_AFTER_DAYS;
}

/**
 * Serves the bucket as a website, to everybody who can reach the server, or stops that. What is so already stays as it
 * is: a server without websites may take the request for one of the bucket, and remove that. So nothing is sent before it
 * has answered as one that has them.
 */
export async function setPublic(bucket: Bucket, isPublic: boolean): Promise<void> {
  const before = await hasWebsite(bucket).catch((error: unknown) => {
    throw hasCode(error, 'E_UNSUPPORTED') ? noWebsites(bucket, error) : error;
  });
  if (before === isPublic) return;
  const WebsiteConfiguration = { IndexDocument: { Suffix: 'index.html' } };
  const change = bucket.run(`${isPublic ? 'PUT' : 'DELETE'} website`, (client, Bucket) =>
    isPublic
      ? client.send(new PutBucketWebsiteCommand({ Bucket, WebsiteConfiguration }))
      : client.send(new DeleteBucketWebsiteCommand({ Bucket })),
  );
  await change.catch((error: unknown) => {
    throw hasCode(error, 'E_UNSUPPORTED') || isOfCreation(error) ? noWebsites(bucket, error) : error;
  });
  if ((await hasWebsite(bucket)) !== isPublic) throw noWebsites(bucket);
}

function noWebsites({ name }: Bucket, cause?: unknown): CarportError {
  return new CarportError(
    'E_UNSUPPORTED',
    `the server does not serve \`${name}\` as a website, and cannot be told to`,
    {
      ...(cause !== undefined && { cause }),
      hint: "the server lacks that part of the S3 API: who may read the bucket is set by the server's own means",
    },
  );
}

/** What the creation of a bucket that is there is refused with, also when something else was asked for. */
function isOfCreation(error: unknown): boolean {
  return ['BucketAlreadyOwnedByYou', 'BucketAlreadyExists'].includes(refusalCodeOf(error) ?? '');
}

/** Removes the uploads below a prefix that nobody has finished; the number of them. */
export async function removeUploads(bucket: Bucket, prefix: string): Promise<number> {
  let removed = 0;
  for (let at: UploadsMarker = {}; ; ) {
    const list = bucket.run('GET ?uploads', (client, Bucket) =>
      client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: prefix, ...at })),
    );
    // rclone's words for none.
    const page = await unless('NoSuchUpload', list);
    if (page === undefined) return removed;
    for (const { Key = '', UploadId = '' } of page.Uploads ?? []) {
      // Without them, or if the server does not look at the prefix, the request would be about something else.
      if (Key === '' || UploadId === '' || !Key.startsWith(prefix)) continue;
      const abort = bucket.run(`DELETE ${Key}?uploadId`, (client, Bucket) =>
        client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId })),
      );
      // Whose upload it is may have finished it.
      if ((await unless('NoSuchUpload', abort)) !== undefined) removed++;
    }
    if (!page.IsTruncated) return removed;
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

async function readRules(bucket: Bucket): Promise<readonly LifecycleRule[]> {
  const read = bucket.run('GET lifecycle', (client, Bucket) =>
    client.send(new GetBucketLifecycleConfigurationCommand({ Bucket })),
  );
  return (await unless('NoSuchLifecycleConfiguration', read))?.Rules ?? [];
}

async function hasWebsite(bucket: Bucket): Promise<boolean> {
  const read = bucket.run('GET website', (client, Bucket) => client.send(new GetBucketWebsiteCommand({ Bucket })));
  const website = await unless('NoSuchWebsiteConfiguration', read);
  return website?.IndexDocument !== undefined || website?.RedirectAllRequestsTo !== undefined;
}

async function unless<T>(code: string, answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (refusalCodeOf(error) === code) return undefined;
    throw error;
  }
}

async function unlessRefused<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
}
