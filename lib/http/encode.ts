/** Paths and queries as signatures want them. */

/** Everything but unreserved characters as `%XX`, as SigV4 wants it; slashes stay. */
export function encodePath(path: string): string {
  return path.split('/').map(encode).join('/');
}

/** Encoded in the same way, and sorted. */
export function canonicalQuery(entries: Iterable<readonly [string, string]>): string {
  const pairs = [...entries].map(([name, value]) => `${encode(name)}=${encode(value)}`);
  return pairs.sort().join('&');
}

function encode(text: string): string {
  const percent = (character: string) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(text).replace(/[!'()*]/g, percent);
}
