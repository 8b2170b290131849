import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  DeleteBucketWebsiteCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketWebsiteCommand,
  HeadBucketCommand,
  type LifecycleRule,
  ListMultipartUploadsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketWebsiteCommand,
} from '@aws-sdk/client-s3';
import { CarportError } from '../../../lib/errors.js';
import type { Bucket } from './bucket.js';
import { nextPage } from './pages.js';
import { refusalCodeOf } from './refusal.js';

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

/** Answers for which there is nothing wrong with the bucket: the server or the key cannot do it. */
const NOT_ALLOWED = ['E_CREDENTIALS', 'E_UNSUPPORTED'];

/** `prefix` is the directory of the cache, with its slash: rules for others do not concern it. */
export async function readBucketSettings(bucket: Bucket, prefix = ''): Promise<BucketSettings> {
  const [rules, website] = await Promise.all([ifAllowed(readRules(bucket)), ifAllowed(hasWebsite(bucket))]);
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

/** Makes the bucket when it is not there; true when it was made. */
export async function ensureBucket(bucket: Bucket): Promise<boolean> {
  try {
    await bucket.run('HEAD', (client, Bucket) => client.send(new HeadBucketCommand({ Bucket })));
    return false;
  } catch (error) {
    // An answer to HEAD does not tell why: the next one does.
    if (!(error instanceof CarportError)) throw error;
  }
  try {
    await bucket.run('CREATE', (client, Bucket) => client.send(new CreateBucketCommand({ Bucket })));
    return true;
  } catch (error) {
    if (['BucketAlreadyOwnedByYou', 'BucketAlreadyExists'].includes(refusalCodeOf(error) ?? '')) return false;
    throw error;
  }
}

/** Lets the server remove uploads that nobody finished; other rules stay. False where that is not allowed. */
export async function abortOldUploads(bucket: Bucket): Promise<boolean> {
  const rule: LifecycleRule = {
    ID: RULE_ID,
    Status: 'Enabled',
    Filter: { Prefix: '' },
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: ABORT_AFTER_DAYS },
  };
  const set = async () => {
    const others = (await readRules(bucket)).filter(({ ID }) => ID !== RULE_ID);
    await bucket.run('PUT lifecycle', (client, Bucket) =>
      client.send(
        new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules: [...others, rule] } }),
      ),
    );
    return true;
  };
  return (await ifAllowed(set())) ?? false;
}

/**
 * Serves the bucket as a website, to everybody who can reach the server, or stops that. A website that is there stays as
 * it is.
 */
export async function setPublic(bucket: Bucket, isPublic: boolean): Promise<void> {
  if (isPublic && (await hasWebsite(bucket))) return;
  const WebsiteConfiguration = { IndexDocument: { Suffix: 'index.html' } };
  await bucket.run('PUT website', (client, Bucket) =>
    isPublic
      ? client.send(new PutBucketWebsiteCommand({ Bucket, WebsiteConfiguration }))
      : client.send(new DeleteBucketWebsiteCommand({ Bucket })),
  );
}

/** Removes the uploads below a prefix that nobody has finished; the number of them. */
export async function removeUploads(bucket: Bucket, prefix: string): Promise<number> {
  let removed = 0;
  for (let at: UploadsMarker = {}; ; ) {
    const page = await bucket.run('LIST uploads', (client, Bucket) =>
      client.send(new ListMultipartUploadsCommand({ Bucket, Prefix: prefix, ...at })),
    );
    for (const { Key, UploadId } of page.Uploads ?? []) {
      const abort = bucket.run('DELETE upload', (client, Bucket) =>
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
  // Garage answers with nothing where Amazon refuses.
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

async function ifAllowed<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof CarportError && NOT_ALLOWED.includes(error.code)) return undefined;
    throw error;
  }
}
