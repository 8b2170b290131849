/** Arguments of the commands of `cache`: caches by their URLs. */

import { argument } from '../declaration/arguments.js';

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
