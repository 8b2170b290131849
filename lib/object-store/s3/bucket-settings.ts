/** Lifecycle, the bucket itself. */

import {
  CreateBucketCommand,
  GetBucketLifecycleConfigurationCommand,
  type LifecycleRule,
  ListObjectsV2Command,
  PutBucketLifecycleConfigurationCommand,
} from '@aws-sdk/client-s3';
import { CarportError } from '../../errors.js';
import type { Bucket } from './bucket.js';
import { type PublicAccess, readPublicAccess, type Shared } from './public-access.js';
import { hidesListing, isRefusal, refusalCodeOf } from './refusal.js';

/** What is set on a bucket itself; `null` where the server or the key does not let it be seen. */
export interface BucketSettings extends PublicAccess {
  /** Days after which uploads that nobody finished are removed; 0 for never. */
  readonly abortUploadsAfterDays: number | null;
  /** Whether a lifecycle rule removes objects by age, which breaks closures. */
  readonly expiresObjects: boolean | null;
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

/** Rules for other directories than the shared one do not concern it. */
export async function readBucketSettings(bucket: Bucket, shared: Shared): Promise<BucketSettings> {
  const [rules, access] = await Promise.all([unlessRefused(readRules(bucket)), readPublicAccess(bucket, shared)]);
  const enabled = rules?.filter(({ Status }) => Status === 'Enabled');
  return {
    abortUploadsAfterDays: enabled ? daysOfUploads(enabled, shared.directory) : null,
    expiresObjects: enabled?.some(({ Expiration }) => Expiration !== undefined) ?? null,
    ...access,
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

/** What the creation of a bucket that is there is refused with, also when something else was asked for. */
function isOfCreation(error: unknown): boolean {
  return ['BucketAlreadyOwnedByYou', 'BucketAlreadyExists'].includes(refusalCodeOf(error) ?? '');
}

async function readRules(bucket: Bucket): Promise<readonly LifecycleRule[]> {
  const read = bucket.run('GET lifecycle', (client, Bucket) =>
    client.send(new GetBucketLifecycleConfigurationCommand({ Bucket })),
  );
  return (await unless('NoSuchLifecycleConfiguration', read))?.Rules ?? [];
}

/** `undefined` where it is refused with this code. */
export async function unless<T>(code: string, answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (refusalCodeOf(error) === code) return undefined;
    throw error;
  }
}

/** `undefined` where the server or the key refuses it. */
export async function unlessRefused<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
}
