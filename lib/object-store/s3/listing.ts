/** The listing of a bucket, by keys as they are: not every server writes them as it says. */

import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { isKey, type ListedObject, type ListOptions } from '../object-store.js';
import { type Bucket, sizeOf } from './bucket.js';
import { nextPage } from './pages.js';

/** Lists a bucket, or the directory of it that is opened; see `ListStore`. */
export type Listing = (options: ListOptions) => AsyncIterable<ListedObject>;

/** `root` is the directory, with a slash at its end, or empty. */
export function createListing(bucket: Bucket, root: string): Listing {
  const readKey = createKeyReader(bucket);
  return async function* list({ prefix = '', recursive = false }) {
    let last: string | undefined;
    for (let token: string | undefined; ; ) {
      const page = await bucket.run('LIST', (client, Bucket) =>
        client.send(
          new ListObjectsV2Command({
            ...{ Bucket, Prefix: root + prefix, EncodingType: 'url', ContinuationToken: token },
            ...(!recursive && { Delimiter: '/' }),
          }),
        ),
      );
      const found = page.Contents ?? [];
      const isEncoded = page.EncodingType === 'url' && found.every(({ Key = '' }) => mayBeEncoded(Key));
      for (const { Key = '', Size = 0, LastModified, ETag = '' } of found) {
        const whole = isEncoded ? await readKey(Key, root + prefix) : Key;
        const key = whole?.startsWith(root + prefix) ? whole.slice(root.length) : undefined;
        // Others may have put there what no cache has; and after writes at the same time rclone lists one key twice.
        if (key === undefined || key === last || !isKey(key)) continue;
        last = key;
        // What was sent in parts has another tag.
        const md5 = /^"?(?<md5>[0-9a-f]{32})"?$/.exec(ETag)?.groups?.md5;
        yield { key, size: Size, modified: LastModified ?? new Date(0), ...(md5 !== undefined && { md5 }) };
      }
      if (!page.IsTruncated) return;
      token = nextPage('objects', token, page.NextContinuationToken);
    }
  };
}

/** False for a key with what no percent-encoding leaves in it. */
function mayBeEncoded(key: string): boolean {
  return !/[^\x21-\x7e]|["#<>?[\\\]^`{|}]|%(?![0-9A-Fa-f]{2})/.test(key);
}

/**
 * What reads keys of a server that says that it encodes them. s3s-fs says so and does not: so of the first key that reads
 * in two ways it is looked which of the two is there, and the others are read in the same way. Where only one of the two
 * begins as was asked for, nothing need be looked for.
 */
function createKeyReader(bucket: Bucket): (written: string, prefix: string) => Promise<string | undefined> {
  let isTrue: boolean | undefined;
  return async (written, prefix) => {
    const decoded = decodeKey(written);
    if (decoded?.startsWith(prefix) && !written.startsWith(prefix)) isTrue = true;
    if (decoded === written || isTrue) return decoded;
    if (isTrue === false) return written;
    if (decoded !== undefined && (await sizeOf(bucket, decoded)) !== undefined) isTrue = true;
    else if ((await sizeOf(bucket, written)) !== undefined) isTrue = false;
    // It has gone since, or may not be seen.
    return isTrue === false ? written : decoded;
  };
}

/** `undefined` for what is not percent-encoded as it should be. */
function decodeKey(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}
