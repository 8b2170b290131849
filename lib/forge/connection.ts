/** Requests to the API of a forge: who asks, JSON of bounded size, lists in pages. */

import * as v from 'valibot';
import { CarportError } from '../errors.js';
import type { HttpClient } from '../http/client.js';
import { followRedirects } from '../http/redirect.js';
import type { HttpRequest, HttpResponse, Transport, TransportDecorator } from '../http/transport.js';
import { checkShape } from '../strict-json.js';
import { type Look, lookBeforeAgain, lookedAfter } from './again.js';
import type { ForgePlace } from './place.js';
import { obeyRateLimits, type RateLimitOptions } from './rate-limit.js';
import { refused } from './refusal.js';

export interface ConnectionOptions {
  readonly place: ForgePlace;
  readonly http: HttpClient;
  /** Nothing for what everybody may see. */
  readonly token: string | undefined;
  /** The word before the token: `Bearer`, `token`. */
  readonly scheme: string;
  /** What else is said with each request. */
  readonly headers: Readonly<Record<string, string>>;
  readonly limits: RateLimitOptions;
}

/** A request, as forges take it. */
export interface Question {
  readonly method?: HttpRequest['method'];
  readonly url: URL;
  /** Sent as JSON. */
  readonly json?: object;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: NonNullable<HttpRequest['body']>;
  /** Statuses that are no failure, beside those below 300: the answer is nothing then. */
  readonly nothing?: readonly number[];
  /** For what makes something. */
  readonly look?: Look;
  /** By way of what has the tries in hand already. */
  readonly send?: Transport;
}

export interface ForgeConnection {
  /** Ends what waits. */
  readonly signal: AbortSignal;
  /** Below the repository. Each part is encoded. */
  urlOf(parts: readonly (string | number)[], query?: Readonly<Record<string, string>>): URL;
  /** The answer, of which unknown fields are ignored; nothing where the statuses say so. */
  ask<Schema extends v.GenericSchema>(question: Question, schema: Schema): Promise<v.InferOutput<Schema> | undefined>;
  /** The same where nothing is to be read. False where the statuses say that there is nothing. */
  tell(question: Question): Promise<boolean>;
  /** All pages of a list, one after the other. */
  pages<Schema extends v.GenericSchema>(
    url: URL,
    schema: Schema,
    send?: Transport,
  ): AsyncGenerator<v.InferOutput<Schema>[]>;
  /** Bytes, through redirects, which get no token elsewhere. */
  download(url: URL): Promise<AsyncIterable<Uint8Array>>;
}

/** What is answered of a commit that is not there: a repository may be empty, and a name be no commit's. */
export const NO_COMMIT: readonly number[] = [404, 409, 422];

const ANSWER_LIMIT = 16 * 1024 * 1024;
const MOST_PAGES = 400;

export function openConnection(options: ConnectionOptions): ForgeConnection {
  const { place, headers } = options;
  const send = createSender(options);
  const answerTo = async (question: Question): Promise<HttpResponse | undefined> => {
    const { response, fail } = await send(requestOf(question, headers), question.send);
    if (response.status < 300) return response;
    if (!question.nothing?.includes(response.status)) throw fail();
    response.discard();
    return undefined;
  };
  return {
    signal: options.limits.signal,
    urlOf(parts, query = {}) {
      const path = ['repos', place.owner, place.name, ...parts].map((part) => encodeURIComponent(part)).join('/');
      const url = new URL(path, place.api);
      url.search = String(new URLSearchParams(query));
      return url;
    },
    async ask(question, schema) {
      const response = await answerTo(question);
      return response && read(response, question.url, schema);
    },
    async tell(question) {
      const response = await answerTo(question);
      response?.discard();
      return response !== undefined;
    },
    async *pages(url, schema, by) {
      for (let page = 1; page <= MOST_PAGES; page++) {
        const at = new URL(url);
        at.searchParams.set('page', String(page));
        const response = await answerTo({ url: at, ...(by && { send: by }) });
        const items = await read(response!, at, v.array(schema));
        yield items;
        // Where the next page is said to be is not believed: the host may be another name of this one.
        if (items.length === 0 || !/rel="?next"?/i.test(String(response!.headers.link ?? ''))) return;
      }
    },
    async download(url) {
      const asked = { method: 'GET', url, headers: { ...headers, accept: 'application/octet-stream' } } as const;
      const { response, fail } = await send(asked);
      if (response.status !== 200) throw fail();
      return response.body;
    },
  };
}

/** Sends a request, by the usual way or another, and gives the answer with the error that it is where it was not hoped for. */
function createSender(options: ConnectionOptions) {
  const { place, http, token, limits } = options;
  const inner: TransportDecorator = (send) => lookBeforeAgain(obeyRateLimits(limits)(authorized(options)(send)));
  const usual = http.transport(inner);
  return async (request: HttpRequest, send: Transport = usual) => {
    // What changes something is not sent elsewhere.
    const { asked, response } =
      request.method === 'GET'
        ? await followRedirects(request, send)
        : { asked: request, response: await send(request) };
    if (send !== usual && (response.status === 429 || response.status >= 500)) throw transient(response);
    const fail = () => {
      response.discard();
      return refused(asked, response, place, token !== undefined);
    };
    return { response, fail };
  };
}

function requestOf(question: Question, headers: ConnectionOptions['headers']): HttpRequest {
  const { method = 'GET', url, json, body, look } = question;
  const request: HttpRequest = {
    ...{ method, url },
    headers: { ...headers, ...(json && { 'content-type': 'application/json' }), ...question.headers },
    ...(json ? { body: Buffer.from(JSON.stringify(json)) } : body !== undefined && { body }),
  };
  return look ? lookedAfter(request, look) : request;
}

async function read<Schema extends v.GenericSchema>(response: HttpResponse, url: URL, schema: Schema) {
  const what = `the answer of \`${url.host}\` to \`${url.pathname}\``;
  return checkShape(what, jsonOf(what, await readAll(response, what)), schema);
}

/** Says who asks, to the forge itself and to nobody else. */
function authorized({ place, token, scheme }: ConnectionOptions): TransportDecorator {
  return (send) => (request) => {
    if (token === undefined || !place.trusted.includes(request.url.origin)) return send(request);
    return send({ ...request, headers: { ...request.headers, authorization: `${scheme} ${token}` } });
  };
}

/** For what tries again. */
function transient(response: HttpResponse): Error {
  response.discard();
  return Object.assign(new Error(`status ${response.status}`), { code: 'ECONNRESET' });
}

/** Of what is too large no more is read. */
async function readAll({ body }: HttpResponse, what: string): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const bytes of body) {
    size += bytes.length;
    if (size > ANSWER_LIMIT) {
      throw new CarportError('E_REMOTE', `${what} is larger than ${ANSWER_LIMIT / 1024 / 1024} MiB`, {
        hint: 'no forge has such: check the address',
      });
    }
    pieces.push(Buffer.from(bytes));
  }
  return Buffer.concat(pieces).toString('utf8');
}

function jsonOf(what: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CarportError('E_REMOTE', `${what} is not JSON`, {
      cause,
      hint: 'a page of a proxy or of a login answers so: check the address of the forge',
    });
  }
}
