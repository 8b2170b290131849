/** The address of a cache, as statements of keys name it: what differs from reader to reader is not in it. */

/** Longest address that is looked at. */
const MAX_LENGTH = 1000;

const SCHEMES = ['http:', 'https:', 's3:', 'file:'];

/**
 * The address of a URL of a store: without password, parameters that are the reader's own, standard ports and a slash at its end;
 * of a bucket with its server. `http` and `https` are one, since a web server may have both. `undefined` for what is no URL of a
 * cache.
 */
export function cacheAddress(text: string): string | undefined {
  if (text.length > MAX_LENGTH || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (!SCHEMES.includes(url.protocol)) return undefined;
  const path = url.pathname.replace(/\/+$/, '');
  if (url.protocol === 's3:') {
    const endpoint = url.searchParams.get('endpoint');
    const server = endpoint === null ? 'amazonaws.com' : hostOf(endpoint);
    return server === undefined ? undefined : `s3://${url.host}${path} at ${server}`;
  }
  if (url.protocol === 'file:') return `file://${path}`;
  return `https://${url.host.replace(/:(80|443)$/, '')}${path}`;
}

function hostOf(endpoint: string): string | undefined {
  const text = /^[a-z]+:\/\//i.test(endpoint) ? endpoint : `https://${endpoint}`;
  return URL.canParse(text) ? new URL(text).host : undefined;
}
