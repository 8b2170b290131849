/** The redirects of web servers: which are followed, and what the request takes along. */

import type { HttpRequest, HttpResponse, Transport } from './transport.js';

const REDIRECTS = [301, 302, 303, 307, 308];
const MAX_REDIRECTS = 5;

/** An answer, and the request that it is the answer to. */
export interface FinalAnswer {
  readonly asked: HttpRequest;
  readonly response: HttpResponse;
}

/** Whether an answer is a redirect. */
export function isRedirect({ status }: Pick<HttpResponse, 'status'>): boolean {
  return REDIRECTS.includes(status);
}

/**
 * Sends a request without a body, and follows at most 5 redirects as `redirectedRequest` allows them. Gives the last
 * answer, which is a redirect only if that may not be followed. Answers before it are discarded.
 */
export async function followRedirects(first: HttpRequest, send: Transport): Promise<FinalAnswer> {
  let asked = first;
  for (let redirects = 0; ; redirects++) {
    const response = await send(asked);
    const next = redirects < MAX_REDIRECTS ? redirectedRequest(asked, response) : undefined;
    if (next === undefined) return { asked, response };
    response.discard();
    asked = next;
  }
}

/**
 * The request to follow an answer with, or `undefined` where the answer is no redirect or must not be followed. A redirect
 * leads never from TLS to none, and to `http:` and `https:` only. Credentials go to the same host and port only: any other
 * gets the range that is asked for, and no other header.
 */
export function redirectedRequest(
  { method, url, headers, ...rest }: HttpRequest,
  response: Pick<HttpResponse, 'status' | 'headers'>,
): HttpRequest | undefined {
  const location = isRedirect(response) ? (response.headers.location ?? '') : '';
  if (location === '' || !URL.canParse(location, url.href)) return undefined;
  const target = new URL(location, url);
  const isSafe = target.protocol === 'https:' || (target.protocol === 'http:' && url.protocol === 'http:');
  if (!isSafe) return undefined;
  return { ...rest, method, url: target, headers: target.host === url.host ? headers : headersForOthers(headers) };
}

/** The headers that another server may have. */
function headersForOthers({ range }: HttpRequest['headers']): HttpRequest['headers'] {
  return range === undefined ? {} : { range };
}
