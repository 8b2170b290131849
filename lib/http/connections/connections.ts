/** The transport below all: Node's client, kept-alive connections, stalls. */

import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Pieces, Room } from '../../buffers.js';
import { distrusted } from '../failure.js';
import type { HttpRequest, HttpResponse, Transport } from '../transport.js';
import { type AgentOptions, createAgents, type Route } from './agents.js';
import { createExchanges, type Exchanged } from './exchanges.js';
import { pourBody, type StallLimits } from './pour.js';
import { proxyRefusal, throughProxy } from './proxy-failure.js';

export interface ConnectionOptions extends AgentOptions {
  /** Milliseconds without a byte in either direction after which a connection is given up. */
  readonly stallMs: number;
  /** Stops every request that is under way. */
  readonly signal: AbortSignal;
}

export interface Connections {
  readonly send: Transport;
  close(): void;
}

/** Of a refusal, so much is read. */
const REFUSAL_LIMIT = 64 * 1024;

/** Requests over kept-alive connections of Node's own client. */
export function openConnections({ stallMs, signal, ...options }: ConnectionOptions): Connections {
  const agents = createAgents(options);
  // One listener for all of them: as an option of each request the signal costs more than signing it.
  const underWay = new Map<ClientRequest, Exchange>();
  const opening = (kept: number) => agents.keep(options.connections - kept - 1);
  const exchanges = createExchanges({ stallMs, stalled, brokenOff, opening });
  const stop = () => {
    exchanges.connections.close(signal.reason as Error);
    for (const [request, { fail }] of underWay) {
      // Node has taken its own listener off a socket whose answer is just done.
      request.socket?.on('error', () => undefined);
      fail(signal.reason as Error);
    }
  };
  signal.addEventListener('abort', stop);

  const send: Transport = async (request) => {
    signal.throwIfAborted();
    const route = await agents.routeTo(request.url);
    signal.throwIfAborted();
    if (exchanges.takes(request, route)) {
      const exchanged = await exchanges.send(request, route).catch((error: unknown) => {
        throw distrusted(error, agents.unusableAuthorities());
      });
      if (exchanged) return shortResponse(exchanged, request);
      // Done again, what changes something has to count as another try.
      if (request.method !== 'GET' && request.method !== 'HEAD') throw unreadable(request.url);
    }
    exchanges.connections.keep(options.connections - underWay.size - 1);
    const outgoing = open(request, route, stallMs);
    const exchange = watch(outgoing, request.url, route, stallMs);
    const { answered } = exchange;
    underWay.set(outgoing, exchange);
    outgoing.once('close', () => underWay.delete(outgoing));
    // An answer may come before the body is sent, and the rest of it is then not wanted any more.
    const sent = sendBody(outgoing, request);
    const response = await Promise.race([answered, sent.then(() => answered)]).catch((error: unknown) => {
      throw distrusted(error, agents.unusableAuthorities());
    });
    // What goes wrong with the connection from now on is told by the body.
    outgoing.on('error', () => undefined);
    outgoing.setTimeout(0);
    // A server that refuses before it has read everything may close before it was heard to the end.
    const result = await toResponse(response, { url: request.url, stallMs, mayBreakOff: !outgoing.writableFinished });
    if (outgoing.writableFinished) return result;
    outgoing.destroy();
    // Nobody can have stored what was not sent.
    if (result.status < 300) throw brokenOff(request.url);
    return result;
  };
  return {
    send,
    close() {
      signal.removeEventListener('abort', stop);
      exchanges.connections.close(new Error('the connections are closed'));
      agents.close();
    },
  };
}

/** What an exchange brought, as an answer. */
function shortResponse(exchanged: NonNullable<Exchanged>, { url, body: sent }: HttpRequest): HttpResponse {
  const { status, headers, body, isWhole, error } = exchanged;
  const isRefused = status >= 300;
  // Of a refusal the status is enough; nobody can have stored what was not sent.
  if (error && status < 500 && isRefused) throw error;
  if (sent !== undefined && !exchanged.isSent && !isRefused) throw brokenOff(url);
  const pieces = {
    async *[Symbol.asyncIterator]() {
      if (body.length > 0) yield body;
      if (error) throw error;
    },
  };
  return {
    ...{ status, headers, body: pieces, discard: () => undefined, closed: CLOSED },
    ...(isRefused && {
      refusal: Buffer.from(body.buffer, body.byteOffset, body.length).toString('utf8', 0, REFUSAL_LIMIT),
    }),
    ...(isWhole && { whole: body }),
  };
}

const CLOSED = Promise.resolve();

function open({ method, headers, body }: HttpRequest, route: Route, timeout: number): ClientRequest {
  const size = body === undefined ? undefined : body instanceof Uint8Array ? body.length : body.size;
  const options = {
    ...route.options,
    method,
    // Set by `setTimeout` later, it would not cover connecting.
    timeout,
    headers: {
      'accept-encoding': 'identity',
      ...headers,
      ...route.headers,
      ...(size !== undefined && { 'content-length': size }),
    },
  };
  return route.options.protocol === 'https:' ? requestHttps(options) : requestHttp(options);
}

/** A request that was sent. */
interface Exchange {
  /** The head of the answer. */
  readonly answered: Promise<IncomingMessage>;
  /** Ends it, also before it has a socket, when Node would not say so. */
  fail(error: Error): void;
}

/** Watches a request that is under way. A proxy that fails is named in place of the server. */
function watch(outgoing: ClientRequest, url: URL, { proxy, isTunnel }: Route, stallMs: number): Exchange {
  let fail: Exchange['fail'];
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    fail = (error) => {
      reject(error);
      outgoing.destroy(error);
    };
    const refuse = (status: number) => fail(proxyRefusal(proxy!, url, status));
    let reached = proxy === undefined;
    let isSettled = false;
    outgoing.once('response', (response) => {
      if (proxy && response.statusCode === 407) refuse(407);
      else resolve(response);
      isSettled = true;
    });
    outgoing.once('error', (error) => reject(reached ? error : throughProxy(proxy!, error)));
    // Covers connecting, sending and waiting; the body has a timer of its own.
    outgoing.once('timeout', () => outgoing.destroy(stalled(url.host, stallMs)));
    // Such as after an answer that wants another protocol. Most have been answered by then, and making an error takes time.
    outgoing.once('close', () => isSettled || reject(brokenOff(url)));
    if (!proxy || !isTunnel) return;
    // There is no socket, and so no time limit, before a proxy has let the request through.
    const timer = setTimeout(() => fail(throughProxy(proxy, stalled(proxy.url.host, stallMs))), stallMs);
    outgoing.once('close', () => clearTimeout(timer));
    outgoing.once('socket', () => {
      clearTimeout(timer);
      reached = true;
    });
    outgoing.once('proxyConnect', ({ statusCode }: { readonly statusCode: number }) => {
      if (statusCode !== 200) refuse(statusCode);
    });
  });
  return { answered, fail: (error) => fail(error) };
}

async function sendBody(outgoing: ClientRequest, { body }: HttpRequest): Promise<void> {
  if (body === undefined || body instanceof Uint8Array) {
    outgoing.end(body);
    return;
  }
  await pipeline(Readable.from(body.open(), { objectMode: false }), outgoing);
}

interface ResponseOptions {
  readonly url: URL;
  readonly stallMs: number;
  /** What a refusal says may break off: the status is enough. */
  readonly mayBreakOff: boolean;
}

async function toResponse(message: IncomingMessage, options: ResponseOptions): Promise<HttpResponse> {
  const { url, stallMs } = options;
  const body = bodyOf(message, url, stallMs);
  const response = {
    ...{ status: message.statusCode!, headers: message.headers, body },
    // Reading a small rest keeps the connection.
    discard() {
      if (isEmpty(message)) message.resume();
      else if (isLarge(message)) message.destroy();
      else void readRefusal(body, true);
    },
    closed: new Promise<void>((resolve) => message.once('close', resolve)),
  };
  if (response.status < 300) return response;
  return { ...response, refusal: await readRefusal(body, options.mayBreakOff || response.status >= 500) };
}

/** As answers to most that is sent are: nothing has to be waited for. */
function isEmpty({ headers }: IncomingMessage): boolean {
  return headers['content-length'] === '0';
}

function isLarge({ headers, complete }: IncomingMessage): boolean {
  return !complete && Number(headers['content-length']) > REFUSAL_LIMIT;
}

function bodyOf(message: IncomingMessage, url: URL, stallMs: number): Pieces {
  const limits = { stallMs, stalled: () => stalled(url.host, stallMs) };
  return Object.assign(piecesOf(message, limits), { into: (room: Room) => pourBody(message, room, limits) });
}

async function* piecesOf(message: IncomingMessage, { stallMs, stalled }: StallLimits): AsyncGenerator<Uint8Array> {
  const wait = () => setTimeout(() => message.destroy(stalled()), stallMs);
  let timer = wait();
  try {
    for await (const piece of message) {
      // A slow reader is not the server's fault.
      clearTimeout(timer);
      yield piece;
      timer = wait();
    }
  } finally {
    clearTimeout(timer);
    message.destroy();
  }
}

/** What a short body says; of a long one the beginning. */
async function readRefusal(body: AsyncIterable<Uint8Array>, mayBreakOff: boolean): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const piece of body) {
      pieces.push(piece);
      size += piece.length;
      if (size >= REFUSAL_LIMIT) break;
    }
  } catch (error) {
    if (!mayBreakOff) throw error;
  }
  return Buffer.concat(pieces).toString('utf8', 0, REFUSAL_LIMIT);
}

function brokenOff(url: URL): Error {
  return Object.assign(new Error(`\`${url.host}\` closed the connection without an answer`), { code: 'ECONNRESET' });
}

/** The code is that of a connection that broke: what was asked for may have been done, and is tried again. */
function unreadable(url: URL): Error {
  return Object.assign(new Error(`\`${url.host}\` answered what is no short answer of HTTP/1.1`), {
    code: 'ECONNRESET',
  });
}

function stalled(host: string, stallMs: number): Error {
  return Object.assign(new Error(`\`${host}\` sent nothing for ${Math.round(stallMs / 1000)} seconds`), {
    code: 'ETIMEDOUT',
  });
}
