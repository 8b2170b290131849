/** Paths and queries as signatures want them. */

/** What is as it is encoded, as most keys are. */
const PLAIN_PATH = /^[0-9A-Za-z\-._~/]*$/;

/** Everything but unreserved characters as `%XX`, as SigV4 wants it; slashes stay. */
export function encodePath(path: string): string {
  return PLAIN_PATH.test(path) ? path : path.split('/').map(encode).join('/');
}

/** A query encoded in the same way, and sorted by its encoded names, then by values (SigV4, canonical query string). */
export function canonicalQuery(entries: Iterable<readonly [string, string]>): string {
  const pairs = [...entries].map(([name, value]) => [encode(name), encode(value)] as const);
  // Not as whole pairs: a name that another begins with comes before it, and `=` after digits, `-` and `%`.
  pairs.sort(([a, x], [b, y]) => compare(a, b) || compare(x, y));
  return pairs.map(([name, value]) => `${name}=${value}`).join('&');
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function encode(text: string): string {
  const percent = (character: string) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(text).replace(/[!'()*]/g, percent);
}
