/** Who reads a bucket without a key: by its website, by its policy. What is said of it has been looked at. */

import { setTimeout as sleep } from 'node:timers/promises';
import {
  DeleteBucketPolicyCommand,
  DeleteBucketWebsiteCommand,
  GetBucketPolicyCommand,
  GetBucketWebsiteCommand,
  PutBucketPolicyCommand,
  PutBucketWebsiteCommand,
} from '@aws-sdk/client-s3';
import { CarportError, hasCode } from '../../errors.js';
import { downloadOf, readWhole } from '../download.js';
import { objectUrl } from './address.js';
import type { Bucket } from './bucket.js';
import { isRefusal, refusalCodeOf } from './refusal.js';

/** What of a bucket is for everybody. */
export interface Shared {
  /** The directory, with a slash at its end, or empty: a policy lets read what is below it. */
  readonly directory: string;
  /** The whole key of a small object, by which it is seen whether everybody reads it. */
  readonly sample: string;
  /** Whether these bytes can be that object: there are servers that answer everything alike. */
  readonly isSample: (bytes: Buffer) => boolean;
}

/** Whether everybody reads it; `null` where the server or the key does not let that be known. */
export interface PublicAccess {
  readonly isPublic: boolean | null;
  /** Where who has no key has just read it, on the server's own address. */
  readonly publicUrl?: string;
}

/**
 * A bucket is public when somebody without a key has read it; where the server has no policies (Garage), when it is a
 * website: at which address that is only the server knows.
 */
export async function readPublicAccess(bucket: Bucket, shared: Shared): Promise<PublicAccess> {
  const [website, policy, isSeen] = await Promise.all([
    unlessRefused(readWebsite(bucket)),
    unlessRefused(readPolicy(bucket)),
    isReadByAll(bucket, shared),
  ]);
  if (isSeen) {
    const { href } = objectUrl(await bucket.address(), shared.directory);
    return { isPublic: true, publicUrl: href.replace(/\/$/, '') };
  }
  if (website === undefined || website === 'unsupported') return { isPublic: null };
  return { isPublic: policy === 'unsupported' && website === 'on' };
}

/**
 * Lets everybody who reaches the server read it, or stops that: as a website where the server has these, and by a policy
 * where it has those; on Amazon and versitygw a website alone lets nobody in. What is so already stays as it is, and nothing
 * is sent before the server has answered as one that has it: another may take the request for one of the bucket, and remove
 * that. `E_UNSUPPORTED` where it has neither.
 */
export async function setPublic(bucket: Bucket, shared: Shared, isPublic: boolean): Promise<void> {
  const website = await readWebsite(bucket);
  const policy = await readPolicy(bucket);
  const isAllowed = policy !== 'unsupported' && (await changePolicy(bucket, shared, policy, isPublic));
  const isServed = website !== 'unsupported' && (await changeWebsite(bucket, website, isPublic));
  if (!isAllowed && !isServed) throw notServed(bucket);
  if (policy !== 'unsupported') await requireSeen(bucket, shared, isPublic);
}

type Website = 'on' | 'off' | 'unsupported';

async function readWebsite(bucket: Bucket): Promise<Website> {
  const read = bucket.run('GET website', (client, Bucket) => client.send(new GetBucketWebsiteCommand({ Bucket })));
  try {
    const { IndexDocument, RedirectAllRequestsTo } = await read;
    return IndexDocument !== undefined || RedirectAllRequestsTo !== undefined ? 'on' : 'off';
  } catch (error) {
    if (refusalCodeOf(error) === 'NoSuchWebsiteConfiguration') return 'off';
    if (hasCode(error, 'E_UNSUPPORTED')) return 'unsupported';
    throw error;
  }
}

/** False where the server does not do it. */
async function changeWebsite(bucket: Bucket, before: Website, isPublic: boolean): Promise<boolean> {
  const wanted = isPublic ? 'on' : 'off';
  if (before === wanted) return true;
  const WebsiteConfiguration = { IndexDocument: { Suffix: 'index.html' } };
  const change = bucket.run(`${isPublic ? 'PUT' : 'DELETE'} website`, (client, Bucket) =>
    isPublic
      ? client.send(new PutBucketWebsiteCommand({ Bucket, WebsiteConfiguration }))
      : client.send(new DeleteBucketWebsiteCommand({ Bucket })),
  );
  return (await isDone(change)) && (await readWebsite(bucket)) === wanted;
}

/** A policy of Amazon's form, of which only our statement is ours. */
interface Policy {
  readonly Statement: readonly Statement[];
}

interface Statement {
  readonly Sid?: string;
  readonly Resource?: string | readonly string[];
}

const NO_POLICY: Policy = { Statement: [] };
const OWN = 'CarportPublicRead';

async function readPolicy(bucket: Bucket): Promise<Policy | 'unsupported'> {
  const read = bucket.run('GET policy', (client, Bucket) => client.send(new GetBucketPolicyCommand({ Bucket })));
  try {
    return parsePolicy((await read).Policy) ?? 'unsupported';
  } catch (error) {
    if (refusalCodeOf(error) === 'NoSuchBucketPolicy') return NO_POLICY;
    if (isRefusal(error) && hasCode(error, 'E_UNSUPPORTED', 'E_REMOTE', 'E_USAGE')) return 'unsupported';
    throw error;
  }
}

/** `undefined` for what is none: rclone gives its list of objects. */
function parsePolicy(text = ''): Policy | undefined {
  try {
    const { Statement, ...rest } = JSON.parse(text) as { readonly Statement?: Statement | readonly Statement[] };
    return Statement === undefined ? undefined : { ...rest, Statement: [Statement].flat() as readonly Statement[] };
  } catch {
    return undefined;
  }
}

/** What others let or forbid stays. False where the server does not do it. */
async function changePolicy(
  bucket: Bucket,
  { directory }: Shared,
  policy: Policy,
  isPublic: boolean,
): Promise<boolean> {
  const { region } = await bucket.address();
  const resource = `arn:${partitionOf(region)}:s3:::${bucket.name}/${directory}*`;
  const others = policy.Statement.filter(({ Sid }) => Sid !== OWN);
  const before = policy.Statement.filter(({ Sid }) => Sid === OWN).flatMap(({ Resource = [] }) => Resource);
  if (before.includes(resource) === isPublic) return true;
  const Resource = [...before.filter((each) => each !== resource), ...(isPublic ? [resource] : [])];
  const own = { Sid: OWN, Effect: 'Allow', Principal: { AWS: ['*'] }, Action: ['s3:GetObject'], Resource };
  const Statement = [...others, ...(Resource.length > 0 ? [own] : [])];
  const Policy = JSON.stringify({ Version: '2012-10-17', ...policy, Statement });
  const change = bucket.run(`${Statement.length > 0 ? 'PUT' : 'DELETE'} policy`, (client, Bucket) =>
    Statement.length > 0
      ? client.send(new PutBucketPolicyCommand({ Bucket, Policy }))
      : client.send(new DeleteBucketPolicyCommand({ Bucket })),
  );
  return isDone(change);
}

function partitionOf(region: string): string {
  if (region.startsWith('cn-')) return 'aws-cn';
  return region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws';
}

/** False where the server does not do it, or has taken it for something else. */
async function isDone(change: Promise<unknown>): Promise<boolean> {
  try {
    await change;
    return true;
  } catch (error) {
    if (isRefusal(error) && hasCode(error, 'E_UNSUPPORTED', 'E_REMOTE')) return false;
    throw error;
  }
}

const SAMPLE_LIMIT = 64 * 1024;

/** Whether who has no key gets what who has one gets; `undefined` where there is nothing to look at. */
async function isReadByAll(bucket: Bucket, { sample, isSample }: Shared): Promise<boolean | undefined> {
  const open = async () => {
    const answer = await bucket.ask('GET', sample);
    return answer && downloadOf(answer);
  };
  const own = await unlessRefused(readWhole(open, SAMPLE_LIMIT, sample));
  if (own === undefined || !isSample(own)) return undefined;
  const answer = await bucket.askAnonymously(sample);
  if (answer.response.status !== 200) {
    answer.response.discard();
    return false;
  }
  return own.equals((await readWhole(async () => downloadOf(answer), SAMPLE_LIMIT, sample)) ?? Buffer.of());
}

/** What is set counts some seconds later on Amazon. */
const LOOKS_MS = [0, 500, 1_500, 3_000];

async function requireSeen(bucket: Bucket, shared: Shared, isPublic: boolean): Promise<void> {
  for (const pause of LOOKS_MS) {
    await sleep(pause);
    const isSeen = await isReadByAll(bucket, shared);
    if (isSeen === undefined || isSeen === isPublic) return;
  }
  const { protocol, host } = (await bucket.address()).endpoint;
  throw isPublic
    ? new CarportError('E_REMOTE', `\`${protocol}//${host}\` lets nobody read \`${bucket.name}\` without a key`, {
        cause: new Error(
          `its policy and website say that everybody may, and GET ${shared.sample} is refused all the same`,
        ),
        hint: 'see what else the server asks for: on Amazon, Block Public Access of the bucket and the account must be off',
      })
    : new CarportError('E_REMOTE', `\`${protocol}//${host}\` still lets everybody read \`${bucket.name}\``, {
        cause: new Error(`GET ${shared.sample} without a key is answered`),
        hint: "others have let everybody in: see the bucket's policy and ACLs with the server's own tools",
      });
}

function notServed({ name }: Bucket): CarportError {
  return new CarportError(
    'E_UNSUPPORTED',
    `the server does not serve \`${name}\` as a website, and cannot be told to`,
    {
      cause: new Error('it has neither websites nor policies of buckets'),
      hint: "the server lacks that part of the S3 API: who may read the bucket is set by the server's own means",
    },
  );
}

async function unlessRefused<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
}
