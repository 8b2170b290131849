/** An object store on a web server, to read from. */

import { CarportError } from '../errors.js';
import { restartable } from '../http/body.js';
import type { HttpClient } from '../http/client.js';
import { encodePath } from '../http/encode.js';
import { explainLimit, explainMissingTls, statusError } from '../http/failure.js';
import { createNetrc } from '../http/netrc.js';
import { type FinalAnswer, followRedirects, isRedirect } from '../http/redirect.js';
import type { HttpRequest, HttpResponse, Transport } from '../http/transport.js';
import { downloadOf, isShortRange, rangeHeader, readWhole } from './download.js';
import { printableLink, resolveLink } from './link.js';
import { boundaryOf, bytesOfParts, manyRangesHeader } from './many-ranges.js';
import {
  type ByteRange,
  checkKey,
  type LinkedObject,
  type LinkStore,
  type ObjectStore,
  WEB_SERVER_TRAITS,
} from './object-store.js';
import { serverTime, statOf } from './response-headers.js';
import { createSpool } from './spool.js';
import { createRangesQuestion } from './two-ranges.js';

export interface HttpStoreOptions {
  /** Its path ends with `/`. */
  readonly base: URL;
  readonly env: NodeJS.ProcessEnv;
  readonly http: HttpClient;
}

/** What a web server answers about an object that is not there; 403 is what a bucket says that hides its listing. */
const MISSING = [403, 404, 410];

/** The URL of a store on a web server: that of its directory, without the slash at its end. */
export function httpStoreUrl(base: URL): string {
  return base.href.replace(/\/$/, '');
}

/** Objects of a web server. Reading needs nothing; to put any the server has to take PUT, as Nix wants it, too. */
export function openHttpStore({ base, env, http }: HttpStoreOptions): ObjectStore & LinkStore {
  const url = httpStoreUrl(base);
  const spool = createSpool();
  const netrc = createNetrc(env);
  const send = http.transport();

  const netrcFile = env.NETRC || '~/.netrc';

  const top = new URL('./', base).href;
  const urlOf = (key: string): URL => new URL(top + encodePath(checkKey(key)));
  const request = async (method: HttpRequest['method'], target: URL): Promise<HttpRequest> => {
    // A password for the cache is for nobody that a narinfo names.
    const authorization = target.origin === base.origin ? await netrc(target.hostname) : undefined;
    return { method, url: target, headers: { ...(authorization && { authorization }) } };
  };
  const fail = (asked: HttpRequest, response: HttpResponse) => refused(asked, response, { base, netrcFile });
  const follow = (first: HttpRequest) => askFor(first, send, fail);
  const { openAt, statAt, readAt, linkTo, ranges } = createReader({ base, request, follow, send });
  return {
    url,
    traits: WEB_SERVER_TRAITS,
    localFile: () => undefined,
    spoolName: () => spool.name(),
    read: async (key, limit) => readAt(urlOf(key), limit, key),
    stat: async (key) => statAt(urlOf(key)),
    open: async (key, range) => openAt(urlOf(key), range),
    link: linkTo,
    findOutRanges: ranges.put,
    sendsManyRanges: ranges.sendsMany,
    async now() {
      const { response } = await follow(await request('HEAD', urlOf('nix-cache-info')));
      response.discard();
      return serverTime(response.headers, url);
    },
    async put(key, body, { contentType, cacheControl, contentDisposition }) {
      const { headers, ...rest } = await request('PUT', urlOf(key));
      const response = await send({
        ...rest,
        headers: {
          ...{ ...headers, 'content-type': contentType },
          ...(cacheControl && { 'cache-control': cacheControl }),
          ...(contentDisposition && { 'content-disposition': contentDisposition }),
        },
        body: restartable(body),
        isShort: true,
      });
      response.discard();
      if (response.status >= 300) throw fail({ ...rest, headers }, response);
    },
    async close() {
      http.close();
      await spool.remove();
    },
  };
}

interface ReaderOptions {
  readonly base: URL;
  readonly send: Transport;
  request(method: HttpRequest['method'], target: URL): Promise<HttpRequest>;
  follow(first: HttpRequest): ReturnType<typeof askFor>;
}

/** What is read of a web server, by its URL. */
function createReader({ base, send, request, follow }: ReaderOptions) {
  const ranges = createRangesQuestion();
  const ask = async (target: URL, more: HttpRequest['headers'], how: Pick<HttpRequest, 'isShort' | 'isTrial'>) => {
    const { headers, ...rest } = await request('GET', target);
    return follow({ ...rest, ...how, headers: { ...headers, ...more } });
  };
  const openAt = async (target: URL, range?: ByteRange, isShort = isShortRange(range)) => {
    const { asked, response, isThere } = await ask(target, rangeHeader(range), { isShort });
    return isThere ? downloadOf({ response, request: asked, send, range }) : undefined;
  };
  const statAt = async (target: URL) => {
    const { response, isThere } = await follow({ ...(await request('HEAD', target)), isShort: true });
    response.discard();
    return isThere ? statOf(response.headers) : undefined;
  };
  const readAt = (target: URL, limit: number, key: string) =>
    readWhole(
      async () => {
        const askIn = (headers: HttpRequest['headers']) => ask(target, headers, { isShort: true, isTrial: true });
        const plain = () => openAt(target, undefined, true);
        const telling = ranges.isOpen() ? await ranges.open({ limit, key, send, ask: askIn, plain }) : 'again';
        return telling === 'again' ? plain() : telling;
      },
      limit,
      key,
    );
  const openManyAt = async (target: URL, wanted: readonly ByteRange[]) => {
    const { asked, response, isThere } = await ask(target, manyRangesHeader(wanted), {});
    const boundary = isThere ? boundaryOf(response) : undefined;
    if (boundary !== undefined) return bytesOfParts(response.body, boundary, wanted, asked.url);
    response.discard();
    return undefined;
  };
  return {
    ...{ openAt, statAt, readAt, ranges },
    linkTo(link: string): LinkedObject {
      const target = resolveLink(link, base);
      return {
        read: (limit) => readWhole(() => openAt(target, undefined, true), limit, printableLink(link)),
        stat: () => statAt(target),
        open: (range) => openAt(target, range),
        ...(target.origin === base.origin && { openMany: (wanted) => openManyAt(target, wanted) }),
      };
    },
  };
}

/** An answer about an object, after redirects. */
interface ObjectAnswer extends FinalAnswer {
  /** Whether it is the object's, and not that there is none. */
  readonly isThere: boolean;
}

/** Asks for an object, and follows redirects; throws what `fail` makes of an answer that is about something else. */
async function askFor(
  first: HttpRequest,
  send: Transport,
  fail: (asked: HttpRequest, response: HttpResponse) => CarportError,
): Promise<ObjectAnswer> {
  const { asked, response } = await followRedirects(first, send);
  if (response.status < 300 || isBeyondEnd(asked, response)) return { asked, response, isThere: true };
  response.discard();
  if (MISSING.includes(response.status) && !isSigningApi(response)) return { asked, response, isThere: false };
  throw fail(asked, response);
}

/** The answer about a range that begins where the object has ended. */
function isBeyondEnd({ headers }: HttpRequest, { status }: HttpResponse): boolean {
  return status === 416 && headers.range !== undefined;
}

/** An S3 API that answers to nobody without a signature, as Garage's does. */
function isSigningApi({ refusal = '' }: HttpResponse): boolean {
  return refusal.includes('<Error') && /anonymous access/i.test(refusal);
}

interface RefusedStore {
  readonly base: URL;
  readonly netrcFile: string;
}

function refused({ method, url, headers }: HttpRequest, response: HttpResponse, store: RefusedStore): CarportError {
  const { status, refusal = '' } = response;
  const cause = new Error(`${method} ${url.pathname}: ${statusError(response).message}`);
  const server = `${url.protocol}//${url.host}`;
  if (status === 401 || status === 407) {
    const { netrcFile } = store;
    const message = headers.authorization
      ? `\`${server}\` refuses the user name and password that \`${netrcFile}\` has for it`
      : `\`${server}\` wants a user name and password`;
    const line = `\`machine ${url.hostname} login NAME password PASSWORD\``;
    const hint = headers.authorization ? `check the line ${line} there` : `put a line ${line} into \`${netrcFile}\``;
    // A password of one server is not for those that it names.
    const isElsewhere = url.host !== store.base.host;
    return new CarportError('E_CREDENTIALS', message, {
      cause,
      hint: isElsewhere ? `\`${store.base.host}\` leads there: use a URL of \`${server}\` itself` : hint,
    });
  }
  if (isSigningApi(response)) {
    return new CarportError('E_USAGE', `\`${server}\` is an S3 API, and not a web server`, {
      cause,
      hint: `write \`s3://BUCKET?endpoint=${server}\` and have an access key, or use the website of the bucket (port 3902 of Garage)`,
    });
  }
  const missingTls = explainMissingTls(url, refusal);
  if (missingTls) return missingTls;
  const limit = explainLimit(status);
  if (limit) return new CarportError('E_REMOTE', `\`${server}\`${limit.message}`, { cause, hint: limit.hint });
  if (method === 'PUT' && [400, 403, 404, 405, 501].includes(status)) {
    return new CarportError('E_REMOTE', `\`${server}\` does not take uploads`, {
      cause,
      hint: "push to the cache's `s3://` URL, or to a server that takes PUT",
    });
  }
  if (isRedirect(response)) {
    // What comes after `?` may be a signature.
    const to = response.headers.location?.replace(/\?.*/, '').replace(/\/\/[^/]*@/, '//') ?? 'nowhere';
    return new CarportError(
      'E_REMOTE',
      `\`${server}${url.pathname}\` is redirected to \`${to}\`, and that is not followed`,
      {
        cause,
        hint: "use the URL that the server means, if it is the cache's",
      },
    );
  }
  return new CarportError('E_REMOTE', `\`${server}\` refused`, { cause, hint: 'check the URL' });
}
