/** A cache by its URL. */

import { join } from 'node:path';
import type { CarportError } from '../lib/errors.js';
import { createHttpClient, type HttpClientOptions } from '../lib/http/client.js';
import { fileStoreUrl, openFileStore } from '../lib/object-store/file.js';
import { httpStoreUrl, openHttpStore } from '../lib/object-store/http.js';
import type { ObjectStore } from '../lib/object-store/object-store.js';
import type { S3Location } from '../lib/object-store/s3/address.js';
import type { Bucket } from '../lib/object-store/s3/bucket.js';
import type { BucketSettings } from '../lib/object-store/s3/bucket-settings.js';
import { openUploadRecords } from '../lib/object-store/s3/parts/upload-records.js';
import type { UnfinishedUpload } from '../lib/object-store/s3/parts/uploads.js';
import { ignoresEndpoints } from '../lib/object-store/s3/profile.js';
import { openS3Store, s3StoreUrl } from '../lib/object-store/s3.js';
import { stateDirectory } from '../lib/state-directory.js';
import { parseEndpoint } from './cache-location.js';
import type { CacheUrl } from './cache-url.js';
import { CACHE_INFO_KEY, isKeyOfCache } from './layout.js';

/** Directories of this machine have no use for them, but a URL does not tell before it is parsed. */
export type OpenOptions = HttpClientOptions;

/** A cache that is open. Its objects are to be closed. */
export interface OpenCache {
  readonly url: CacheUrl;
  readonly objects: ObjectStore;
  /** The bucket itself, of an `s3://` cache. */
  readonly bucket?: BucketAdmin;
}

/** The bucket that a cache is in, apart from its objects. Anything but the name asks the server. */
export interface BucketAdmin {
  readonly name: string;
  /** Makes the bucket when it is not there; true when it was made. */
  ensure(): Promise<boolean>;
  /** Lets the server remove uploads that nobody finished. Gives why it does not where the server or the key refuses. */
  abortOldUploads(): Promise<CarportError | undefined>;
  /** Uploads to keys of the cache that nobody has finished; none where the server or the key does not let them be seen. */
  unfinishedUploads(): Promise<readonly UnfinishedUpload[]>;
  /** Removes one; false where it is not there any more. */
  abortUpload(upload: UnfinishedUpload): Promise<boolean>;
  /** Reads what is set on the bucket, as far as it concerns the directory of the cache. */
  readSettings(): Promise<BucketSettings>;
  /** Lets everybody read the cache in the bucket, or stops that; `E_UNSUPPORTED` where the server cannot. */
  setPublic(isPublic: boolean): Promise<void>;
}

/** Opens the cache that a URL names. Nothing is read yet. Close the objects when done. */
export function openCache(url: CacheUrl, options: OpenOptions): OpenCache {
  const { env } = options;
  const { location } = url;
  if (location.kind === 'file') return { url, objects: openFileStore(location.root) };
  const http = createHttpClient(options);
  if (location.kind === 'http') return { url, objects: openHttpStore({ base: location.url, env, http }) };
  const placed = withEndpoint(location, env);
  const records = openUploadRecords(join(stateDirectory(env), 'uploads'));
  const objects = openS3Store({ location: placed, env, http, records });
  return { url, objects, bucket: bucketAdmin(objects.bucket, location.prefix) };
}

/** The canonical text of a cache's URL: what the objects of the opened cache have as `url`, without opening it. */
export function canonicalUrl({ location }: CacheUrl, env: NodeJS.ProcessEnv): string {
  if (location.kind === 'file') return fileStoreUrl(location.root);
  return location.kind === 'http' ? httpStoreUrl(location.url) : s3StoreUrl(withEndpoint(location, env));
}

/** Loads the AWS SDK with the first call. `directory` is that of the cache in the bucket, without a slash at its end. */
function bucketAdmin(bucket: Bucket, directory: string): BucketAdmin {
  const load = () => import('../lib/object-store/s3/bucket-settings.js');
  const prefix = directory === '' ? '' : `${directory}/`;
  const isSample = (bytes: Buffer) => /^StoreDir:/m.test(bytes.toString());
  const shared = { directory: prefix, sample: prefix + CACHE_INFO_KEY, isSample };
  return {
    name: bucket.name,
    ensure: async () => (await load()).ensureBucket(bucket),
    abortOldUploads: async () => (await load()).abortOldUploads(bucket),
    async unfinishedUploads() {
      const { listUploads } = await import('../lib/object-store/s3/parts/uploads.js');
      const uploads = await listUploads(bucket, prefix);
      return uploads.filter(({ key }) => isKeyOfCache(key.slice(prefix.length)));
    },
    abortUpload: async (upload) =>
      (await import('../lib/object-store/s3/parts/uploads.js')).abortUpload(bucket, upload),
    readSettings: async () => (await load()).readBucketSettings(bucket, shared),
    setPublic: async (isPublic) => {
      const { setPublic } = await import('../lib/object-store/s3/public-access.js');
      await setPublic(bucket, shared, isPublic);
    },
  };
}

function withEndpoint(location: S3Location, env: NodeJS.ProcessEnv): S3Location {
  const endpoint = location.endpoint ?? endpointOf(env);
  return { ...location, ...(endpoint && { endpoint }) };
}

/** As the tools of Amazon take it; an empty variable is one that is not set. */
function endpointOf(env: NodeJS.ProcessEnv): string | undefined {
  if (ignoresEndpoints(env)) return undefined;
  const name = ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'].find((each) => env[each]);
  return name && parseEndpoint(env[name]!, 'https', `the endpoint (${name})`);
}
