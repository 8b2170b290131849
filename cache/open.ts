/** A cache by its URL. */

import { join } from 'node:path';
import { createHttpClient, type HttpClientOptions } from '../lib/http/client.js';
import { openFileStore } from '../lib/object-store/file.js';
import { openHttpStore } from '../lib/object-store/http.js';
import type { ObjectStore } from '../lib/object-store/object-store.js';
import type { Bucket } from '../lib/object-store/s3/bucket.js';
import { ignoresEndpoints } from '../lib/object-store/s3/profile.js';
import { openUploadRecords } from '../lib/object-store/s3/upload-records.js';
import { openS3Store } from '../lib/object-store/s3.js';
import { stateDirectory } from '../lib/state-directory.js';
import { parseEndpoint } from './cache-location.js';
import type { CacheUrl } from './cache-url.js';

/** Directories of this machine have no use for them, but a URL does not tell before it is parsed. */
export type OpenOptions = HttpClientOptions;

export interface OpenCache {
  readonly url: CacheUrl;
  readonly objects: ObjectStore;
  /** Of an `s3://` cache: for the settings of the bucket itself. */
  readonly bucket?: Bucket;
}

/** Opens the cache that a URL names. Nothing is read yet. Close the objects when done. */
export function openCache(url: CacheUrl, options: OpenOptions): OpenCache {
  const { env } = options;
  const { location } = url;
  if (location.kind === 'file') return { url, objects: openFileStore(location.root) };
  const http = createHttpClient(options);
  if (location.kind === 'http') return { url, objects: openHttpStore({ base: location.url, env, http }) };
  const endpoint = location.endpoint ?? endpointOf(env);
  const placed = { ...location, ...(endpoint && { endpoint }) };
  const records = openUploadRecords(join(stateDirectory(env), 'uploads'));
  const objects = openS3Store({ location: placed, env, http, records });
  return { url, objects, bucket: objects.bucket };
}

/** As the tools of Amazon take it; an empty variable is one that is not set. */
function endpointOf(env: NodeJS.ProcessEnv): string | undefined {
  if (ignoresEndpoints(env)) return undefined;
  const name = ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'].find((each) => env[each]);
  return name && parseEndpoint(env[name]!, 'https', `the endpoint (${name})`);
}
