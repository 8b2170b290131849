/** Signatures (SigV4), as a decorator. */

import { createHmac, hash } from 'node:crypto';
import { canonicalQuery } from '../../http/encode.js';
import type { HttpRequest, TransportDecorator } from '../../http/transport.js';

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** What its Content-MD5, which is signed, guards: a second hash would cost both sides more than the request. */
const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD';
const ALGORITHM = 'AWS4-HMAC-SHA256';

/** Signs each request as it is sent: a later try has a later date. */
export function createSigner(
  region: string,
  credentials: () => Promise<Credentials>,
  now: () => Date = () => new Date(),
): TransportDecorator {
  return (send) => async (request) =>
    send({ ...request, headers: signedHeaders(request, await credentials(), region, now()) });
}

/** The request's headers with those of AWS Signature Version 4 for S3. */
export function signedHeaders(
  { method, url, headers, body }: HttpRequest,
  { accessKeyId, secretAccessKey, sessionToken }: Credentials,
  region: string,
  now: Date,
): Readonly<Record<string, string>> {
  const date = basicDate(now);
  const scope = `${date.slice(0, 8)}/${region}/s3/aws4_request`;
  const payload = payloadHash(headers, body);
  const amz = {
    'x-amz-content-sha256': payload,
    'x-amz-date': date,
    ...(sessionToken !== undefined && { 'x-amz-security-token': sessionToken }),
  };
  const all = { ...headers, ...amz };
  const signed = Object.entries({ host: url.host, ...all })
    .filter(([name]) => name === 'host' || name.startsWith('x-amz-') || name.startsWith('content-'))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const names = signed.map(([name]) => name).join(';');
  const lines = signed.map(([name, value]) => `${name}:${value.trim().replace(/ +/g, ' ')}\n`).join('');
  const query = url.search === '' ? '' : canonicalQuery(url.searchParams);
  const canonical = [method, url.pathname, query, lines, names, payload].join('\n');
  const toSign = [ALGORITHM, date, scope, sha256(canonical)].join('\n');
  const signature = hmac(signingKey(secretAccessKey, scope), toSign).toString('hex');
  return {
    ...all,
    authorization: `${ALGORITHM} Credential=${accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
  };
}

/** The last second that was asked for: in it go thousands of requests. */
let lastDate: { readonly second: number; readonly text: string } | undefined;

/** A date as AWS writes it: `20261128T123456Z`. */
function basicDate(now: Date): string {
  const second = Math.floor(now.getTime() / 1000);
  if (lastDate?.second !== second) {
    lastDate = { second, text: now.toISOString().replace(/[-:]|\.[0-9]{3}/g, '') };
  }
  return lastDate.text;
}

const EMPTY_HASH = sha256('');

function payloadHash(headers: HttpRequest['headers'], body: HttpRequest['body']): string {
  if (body === undefined) return EMPTY_HASH;
  return body instanceof Uint8Array && headers['content-md5'] === undefined ? sha256(body) : UNSIGNED_PAYLOAD;
}

/** The key of a day, a region and a secret; kept, since it is four hashes. */
let lastKey: { readonly secret: string; readonly scope: string; readonly key: Buffer } | undefined;

function signingKey(secret: string, scope: string): Buffer {
  if (lastKey?.secret === secret && lastKey.scope === scope) return lastKey.key;
  const key = scope.split('/').reduce<Buffer>((previous, part) => hmac(previous, part), Buffer.from(`AWS4${secret}`));
  lastKey = { secret, scope, key };
  return key;
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function sha256(data: string | Uint8Array): string {
  return hash('sha256', data, 'hex');
}
