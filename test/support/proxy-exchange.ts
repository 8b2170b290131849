import { once } from 'node:events';
import { Agent, type ClientRequest, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import type { Answer, Fault } from './proxy-faults.js';
import type { TrafficEntry } from './proxy-traffic.js';

/** A client's connection, and the one to the server that goes with it: each closes when the other does. */
export interface Line {
  readonly client: Socket;
  readonly agent: Agent;
  server: Socket | undefined;
  /** Exchanges that are not over. */
  active: number;
}

export interface Exchange {
  readonly line: Line;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: { readonly host: string; readonly port: number };
  readonly entry: TrafficEntry;
  readonly fault: Fault | undefined;
}

export function openLine(client: Socket): Line {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  client.once('close', () => agent.destroy());
  return { client, agent, server: undefined, active: 0 };
}

/** Answers one request, the way its fault demands. Never rejects: what fails shows as a broken connection. */
export async function runExchange(exchange: Exchange): Promise<void> {
  const { line, response } = exchange;
  // A client may go away at any time.
  response.on('error', () => {});
  line.active++;
  try {
    await answer(exchange);
  } catch {
    if (response.writableEnded) line.client.destroySoon();
    else line.client.resetAndDestroy();
  }
  line.active--;
  closeWithServer(line);
}

function closeWithServer({ client, server, active }: Line): void {
  if (active === 0 && server?.destroyed === true) client.destroySoon();
}

async function answer(exchange: Exchange): Promise<void> {
  const { fault, entry, line } = exchange;
  if (fault === undefined || (typeof fault === 'object' && 'flip' in fault)) return forward(exchange);
  if (fault === 'truncate-silently') return forward(exchange);
  entry.fault = fault;
  if (fault === 'reset-before') {
    line.client.resetAndDestroy();
  } else if (fault === 'stall-before') {
    await readAll(receiveItself(exchange));
    await closed(line.client);
  } else if (typeof fault === 'string') {
    await forward(exchange);
  } else if ('delay' in fault) {
    await sleep(fault.delay, line.client);
    await forward(exchange);
  } else if ('until' in fault) {
    const gone = closed(line.client).then(() => Promise.reject(new Error('the client is gone')));
    await Promise.race([fault.until, gone]);
    gone.catch(() => {});
    await forward(exchange);
  } else {
    await answerItself(exchange, fault);
  }
}

const S3_CODES: Readonly<Record<number, string>> = {
  403: 'AccessDenied',
  404: 'NoSuchKey',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
};

async function answerItself(exchange: Exchange, { status, retryAfter, body, readBody = false }: Answer): Promise<void> {
  const { request, response, entry } = exchange;
  if (readBody) await readAll(receiveItself(exchange));
  const code = S3_CODES[status] ?? 'InternalError';
  const text =
    body ?? `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>Injected</Message></Error>`;
  const bytes = Buffer.from(text);
  entry.status = status;
  entry.bodyBytesDown = request.method === 'HEAD' ? 0 : bytes.length;
  response.setHeader('content-type', 'application/xml').setHeader('content-length', bytes.length);
  if (retryAfter !== undefined) response.setHeader('retry-after', retryAfter);
  if (!readBody) response.setHeader('connection', 'close');
  response.writeHead(status).end(bytes);
}

async function forward(exchange: Exchange): Promise<void> {
  const upstream = connect(exchange);
  const down = responseOf(upstream).then((incoming) => sendDown(exchange, incoming));
  const up = sendUp(exchange, upstream);
  // A server may answer and close before it has read the request: its answer counts more than the failed upload.
  up.catch(() => {});
  await down;
  await up;
}

function connect({ line, request: incoming, response, target }: Exchange): ClientRequest {
  const { method, url, rawHeaders, headers } = incoming;
  // Without this, Node would add chunked encoding to a request that has no body.
  const bodiless = !('content-length' in headers) && !('transfer-encoding' in headers);
  const framing = bodiless && method !== 'GET' && method !== 'HEAD' ? ['Content-Length', '0'] : [];
  const upstream = request({
    ...target,
    ...{ agent: line.agent, method, path: url, headers: [...rawHeaders, ...framing], setHost: false },
  });
  upstream.on('error', () => {});
  upstream.on('continue', () => response.writeContinue());
  upstream.on('socket', (socket) => {
    if (line.server === socket) return;
    line.server = socket;
    socket.once('close', () => closeWithServer(line));
  });
  return upstream;
}

async function responseOf(upstream: ClientRequest): Promise<IncomingMessage> {
  const [incoming] = await once(upstream, 'response');
  return incoming;
}

async function sendUp(exchange: Exchange, upstream: ClientRequest): Promise<void> {
  const { fault, entry, line, request } = exchange;
  const pieces = receive(exchange);
  if (fault === 'reset-midway' && hasBody(request)) {
    await writeAll(firstHalf(pieces, lengthOf(request)), upstream);
    line.client.resetAndDestroy();
  } else if (isFlip(fault) && fault.direction === 'up') {
    await writeAll(flipped(pieces, fault.flip, entry, fault), upstream);
    upstream.end();
  } else {
    await writeAll(pieces, upstream);
    upstream.end();
  }
}

async function sendDown(exchange: Exchange, incoming: IncomingMessage): Promise<void> {
  const { fault, entry, response, line, request } = exchange;
  const pieces = incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  if (fault === 'reset-after') {
    await readAll(pieces);
    line.client.resetAndDestroy();
  } else if (fault === 'truncate' || fault === 'stall' || (fault === 'reset-midway' && !hasBody(request))) {
    await sendHalf(exchange, incoming, pieces);
    if (fault === 'truncate') line.client.destroySoon();
    else if (fault === 'reset-midway') line.client.resetAndDestroy();
    else await closed(line.client);
  } else if (fault === 'truncate-silently' && mayHaveBody(exchange, incoming)) {
    await sendHalfAsWhole(exchange, incoming, pieces);
  } else {
    sendHead(exchange, incoming);
    const body = isFlip(fault) && fault.direction !== 'up' ? flipped(pieces, fault.flip, entry, fault) : pieces;
    await writeAll(countDown(body, entry), response);
    response.end();
  }
}

async function sendHalf(exchange: Exchange, incoming: IncomingMessage, pieces: AsyncIterable<Buffer>): Promise<void> {
  const { response, line, entry } = exchange;
  if (mayHaveBody(exchange, incoming)) {
    sendHead(exchange, incoming);
    await writeAll(countDown(firstHalf(pieces, lengthOf(incoming)), entry), response);
  } else {
    line.client.write(`HTTP/1.1 ${incoming.statusCode} ${incoming.statusMessage}\r\n`, 'latin1');
  }
  await new Promise<void>((resolve) => void line.client.write('', () => resolve()));
}

async function sendHalfAsWhole(
  exchange: Exchange,
  incoming: IncomingMessage,
  pieces: AsyncIterable<Buffer>,
): Promise<void> {
  const { response, entry, fault } = exchange;
  const length = lengthOf(incoming);
  const half = length === undefined ? undefined : Math.floor(length / 2);
  sendHead(exchange, incoming, half);
  entry.fault = fault;
  await writeAll(countDown(firstHalf(pieces, length), entry), response);
  response.end();
  // What is left would stand in the way of the next answer.
  await readAll(incoming);
}

function sendHead({ response, entry }: Exchange, incoming: IncomingMessage, length?: number): void {
  const { statusCode, statusMessage, rawHeaders } = incoming;
  const headers = rawHeaders.map((text, index) =>
    length !== undefined && index % 2 === 1 && rawHeaders[index - 1]!.toLowerCase() === 'content-length'
      ? String(length)
      : text,
  );
  entry.status = statusCode;
  response.sendDate = false;
  response.writeHead(statusCode!, statusMessage!, headers);
  // At once, as `flushHeaders` does, which would turn latin1 into UTF-8.
  response.write(Buffer.alloc(0));
}

/** The request's body, when the server does not see it: the client may wait for a word before it sends. */
function receiveItself(exchange: Exchange): AsyncIterable<Buffer> {
  if (exchange.request.headers.expect?.toLowerCase() === '100-continue') exchange.response.writeContinue();
  return receive(exchange);
}

async function* receive({ request, entry }: Exchange): AsyncGenerator<Buffer> {
  for await (const piece of request.iterator({ destroyOnReturn: false })) {
    entry.bodyBytesUp += (piece as Buffer).length;
    yield piece as Buffer;
  }
}

async function* countDown(pieces: AsyncIterable<Buffer>, entry: TrafficEntry): AsyncGenerator<Buffer> {
  for await (const piece of pieces) {
    entry.bodyBytesDown += piece.length;
    yield piece;
  }
}

/** Half of the body or, when its length is not known, half of its first piece. */
async function* firstHalf(pieces: AsyncIterable<Buffer>, length: number | undefined): AsyncGenerator<Buffer> {
  let left = length === undefined ? undefined : Math.floor(length / 2);
  if (left === 0) return;
  for await (const piece of pieces) {
    left ??= Math.floor(piece.length / 2);
    const part = piece.subarray(0, left);
    left -= part.length;
    if (part.length > 0) yield part;
    if (left === 0) return;
  }
}

async function* flipped(
  pieces: AsyncIterable<Buffer>,
  offset: number,
  entry: TrafficEntry,
  fault: Fault,
): AsyncGenerator<Buffer> {
  let at = 0;
  for await (const piece of pieces) {
    if (offset >= at && offset < at + piece.length) {
      piece[offset - at]! ^= 1;
      entry.fault = fault;
    }
    at += piece.length;
    yield piece;
  }
}

async function writeAll(pieces: AsyncIterable<Buffer>, sink: Writable): Promise<void> {
  for await (const piece of pieces) {
    if (!sink.write(piece)) await drained(sink);
  }
}

function drained(sink: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = () => {
      sink.off('drain', settle).off('close', settle);
      if (sink.destroyed) reject(new Error('the other side is gone'));
      else resolve();
    };
    sink.on('drain', settle).on('close', settle);
    // Of what is closed already, no event tells.
    if (sink.destroyed) settle();
  });
}

async function readAll(pieces: AsyncIterable<Buffer>): Promise<void> {
  for await (const _ of pieces);
}

async function closed(socket: Socket): Promise<void> {
  if (!socket.destroyed) await once(socket, 'close');
}

/** Rejects when the client goes away, so that no timer outlives it. */
async function sleep(ms: number, client: Socket): Promise<void> {
  const gone = new AbortController();
  const abort = () => gone.abort();
  client.once('close', abort);
  try {
    await setTimeout(ms, undefined, { signal: gone.signal });
  } finally {
    client.off('close', abort);
  }
}

function isFlip(fault: Fault | undefined): fault is Extract<Fault, { flip: number }> {
  return typeof fault === 'object' && 'flip' in fault;
}

function hasBody({ headers }: IncomingMessage): boolean {
  return 'transfer-encoding' in headers || Number(headers['content-length'] ?? 0) > 0;
}

function mayHaveBody({ request }: Exchange, incoming: IncomingMessage): boolean {
  const { statusCode } = incoming;
  return request.method !== 'HEAD' && statusCode !== 204 && statusCode !== 304 && lengthOf(incoming) !== 0;
}

function lengthOf({ headers }: IncomingMessage): number | undefined {
  const length = headers['content-length'];
  return length === undefined ? undefined : Number(length);
}
