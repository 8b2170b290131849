import { setTimeout as sleep } from 'node:timers/promises';
import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import pLimit from 'p-limit';
import { hashBytes, hashesEqual } from '#lib/nix/hash.js';
import { type NarInfo, parseNarInfo } from '#lib/nix/narinfo.js';
import type { TestGarage } from './garage.js';

/** A bucket as others than carport see it, by the AWS SDK alone. */
export interface TestBucket {
  readonly name: string;
  /** All objects, by key. */
  objects(): Promise<ReadonlyMap<string, TestObject>>;
  read(key: string): Promise<Buffer>;
  /** What readers are told of an object. */
  metadata(key: string): Promise<{ readonly contentType?: string; readonly cacheControl?: string }>;
  put(key: string, body: Uint8Array | string): Promise<void>;
  remove(...keys: readonly string[]): Promise<void>;
  /** Begins an upload in parts that nobody will finish. */
  beginUpload(key: string): Promise<void>;
  /** Uploads in parts that nobody finished. */
  uploads(): Promise<readonly TestUpload[]>;
  abort(upload: TestUpload): Promise<void>;
}

export interface TestObject {
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
}

export interface TestUpload {
  readonly key: string;
  readonly id: string;
  /** Sizes of the parts that are there, by number. */
  readonly parts: ReadonlyMap<number, number>;
}

/** `node` is the one that is asked. */
export function openBucket(garage: TestGarage, name: string, node = 0): TestBucket {
  const client = new S3Client({
    ...{ endpoint: garage.nodes[node]!.s3Endpoint, region: garage.region, credentials: garage.credentials },
    ...{ forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED' },
  });
  const Bucket = name;
  const partsOf = async (Key: string, UploadId: string) => {
    const { Parts = [] } = await client.send(new ListPartsCommand({ Bucket, Key, UploadId }));
    return new Map(Parts.map(({ PartNumber, Size }) => [PartNumber!, Size!]));
  };
  return {
    name,
    async objects() {
      const found = new Map<string, TestObject>();
      for (let token: string | undefined; ; ) {
        const page = await client.send(new ListObjectsV2Command({ Bucket, ContinuationToken: token }));
        for (const { Key, Size, LastModified } of page.Contents ?? []) {
          found.set(Key!, { size: Size!, modified: LastModified!.getTime() });
        }
        token = page.NextContinuationToken;
        if (token === undefined) return found;
      }
    },
    async read(Key) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
      return Buffer.from(await Body!.transformToByteArray());
    },
    async metadata(Key) {
      const { ContentType, CacheControl } = await client.send(new HeadObjectCommand({ Bucket, Key }));
      return { ...(ContentType && { contentType: ContentType }), ...(CacheControl && { cacheControl: CacheControl }) };
    },
    async put(Key, Body) {
      await client.send(new PutObjectCommand({ Bucket, Key, Body }));
    },
    async remove(...keys) {
      await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: keys.map((Key) => ({ Key })) } }));
    },
    async beginUpload(Key) {
      await client.send(new CreateMultipartUploadCommand({ Bucket, Key }));
    },
    async uploads() {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }));
      return Promise.all(
        Uploads.map(async ({ Key, UploadId }) => ({
          ...{ key: Key!, id: UploadId!, parts: await partsOf(Key!, UploadId!) },
        })),
      );
    },
    async abort({ key: Key, id: UploadId }) {
      await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    },
  };
}

const READS_AT_ONCE = 32;

/** The narinfos among the objects, by store path. */
export async function narInfosIn(
  bucket: TestBucket,
  objects: ReadonlyMap<string, TestObject>,
): Promise<ReadonlyMap<string, NarInfo>> {
  const limit = pLimit(READS_AT_ONCE);
  const keys = [...objects.keys()].filter(isNarInfoKey);
  const infos = keys.map((key) => limit(async () => parseNarInfo((await bucket.read(key)).toString('latin1'))));
  return new Map((await Promise.all(infos)).map((info) => [info.path, info]));
}

/**
 * What is wrong with the cache in a bucket: NARs that are missing or not what their narinfo says, references that are
 * missing, and narinfos that were there before what they promise: not looked at where a server `mayEndLate` what was sent once more since.
 */
export async function faultsIn(bucket: TestBucket, { mayEndLate = false } = {}): Promise<readonly string[]> {
  const limit = pLimit(READS_AT_ONCE);
  const objects = await bucket.objects();
  const infos = await narInfosIn(bucket, objects);
  const check = async (info: NarInfo): Promise<readonly string[]> => {
    const incomplete = missingOf(info, objects);
    if (incomplete.length > 0) return incomplete;
    const nar = await bucket.read(info.url);
    const damaged = hashesEqual(hashBytes('sha256', nar), info.fileHash!) ? [] : [`${info.url} is damaged`];
    const own = objects.get(keyOf(info.path))!.modified;
    // A narinfo is written again by a push that keeps it young.
    const early = mayEndLate
      ? []
      : promisedBy(info).filter((key) => !isNarInfoKey(key) && objects.get(key)!.modified > own);
    return [...damaged, ...early.map((key) => `${info.path} was there before ${key}`)];
  };
  return (await Promise.all([...infos.values()].map((info) => limit(() => check(info))))).flat();
}

/** What was seen of a bucket while something was pushed to it. */
export interface Observation {
  readonly faults: readonly string[];
  /** How many narinfos were there, look by look. */
  readonly counts: readonly number[];
}

const LOOK_PAUSE_MS = 20;

/** Looks at the bucket again and again, as a reader would: whatever a visible narinfo promises must be there then. */
export function observe(bucket: TestBucket): { stop(): Promise<Observation> } {
  const infos = new Map<string, NarInfo>();
  const faults = new Set<string>();
  const counts: number[] = [];
  let isStopped = false;
  const look = async () => {
    const keys = [...(await bucket.objects()).keys()].filter(isNarInfoKey);
    counts.push(keys.length);
    const fresh = keys.filter((key) => !infos.has(key));
    for (const key of fresh) infos.set(key, parseNarInfo((await bucket.read(key)).toString('latin1')));
    // A reader asks for what is promised after it was promised.
    const later = await bucket.objects();
    for (const key of keys) for (const fault of missingOf(infos.get(key)!, later)) faults.add(fault);
  };
  const looking = (async () => {
    while (!isStopped) {
      await look();
      // Without it the looks would take as much of the machine as what is looked at.
      await sleep(LOOK_PAUSE_MS);
    }
    await look();
  })();
  looking.catch(() => {});
  return {
    async stop() {
      isStopped = true;
      await looking;
      return { faults: [...faults], counts };
    },
  };
}

function missingOf(info: NarInfo, objects: ReadonlyMap<string, TestObject>): readonly string[] {
  const missing = promisedBy(info).filter((key) => !objects.has(key));
  const size = objects.get(info.url)?.size ?? info.fileSize;
  return [
    ...missing.map((key) => `${info.path} is there, but not ${key}`),
    ...(size === info.fileSize ? [] : [`${info.url} has ${size} bytes`]),
  ];
}

function promisedBy({ path, url, references }: NarInfo): readonly string[] {
  return [url, ...references.filter((reference) => reference !== path).map(keyOf)];
}

function keyOf(path: string): string {
  return `${path.slice('/nix/store/'.length).split('-')[0]}.narinfo`;
}

function isNarInfoKey(key: string): boolean {
  return key.endsWith('.narinfo') && !key.includes('/');
}
