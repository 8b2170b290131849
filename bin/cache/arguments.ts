/** Arguments of the commands of `cache`: caches by their URLs. */

import { checkPath } from '../arguments/checked-path.js';
import { argument } from '../declaration/arguments.js';
import { option } from '../declaration/options.js';

/** Loaded when it is used: help does not need it. */
export const parseCacheUrl = async (text: string) => (await import('../../cache/cache-url.js')).parseCacheUrl(text);

/** A cache that is changed, or listed. */
export function writableCache(name = 'cache') {
  return argument(`<${name}>`, 'such as s3://bucket?endpoint=… or file:///srv/cache', { parse: parseCacheUrl });
}

/** A cache that is read. */
export function readableCache(name = 'cache') {
  const description = 'such as s3://bucket?endpoint=…, https://host or file:///srv/cache';
  return argument(`<${name}>`, description, { parse: parseCacheUrl });
}

/** What a server has written down of its bucket, in place of a listing. */
export const INVENTORY = option(
  '--inventory <manifest>',
  'read what the bucket holds from the `manifest.json` of an S3 inventory on this machine instead of listing it',
  { parse: checkPath },
);
