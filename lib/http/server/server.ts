/** A small web server for programs of this machine: it reads only, takes no more than it can bear, and ends in order. */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { CarportError, isErrno } from '../../errors.js';
import { isLoopback, type ListenAddress, namesLoopback, renderListenAddress } from './address.js';
import { type Answer, type ServedRequest, sendAnswer } from './answer.js';

/** Where a server listens: an address, or a socket that another program has opened. */
export type ListenAt = ListenAddress | { readonly descriptor: number };

export interface WebServerOptions {
  readonly at: ListenAt;
  /** Whether others than this machine may reach it. */
  readonly allowRemote: boolean;
  /** Answers a request. What it throws breaks the connection. */
  handle(request: ServedRequest): Promise<Answer>;
  /** Told when a request is done: its status, or why it was broken off. */
  onDone?(done: RequestDone): void;
}

export interface RequestDone {
  readonly method: string;
  readonly target: string;
  readonly status: number;
  readonly milliseconds: number;
  /** The answer did not come to its end. */
  readonly failure?: unknown;
}

export interface WebServer {
  /** `127.0.0.1:5000`; `undefined` of a socket that is none of IP. */
  readonly address: string | undefined;
  /** Takes no new requests; settles when those that run are answered, or broken off after so long. */
  drain(milliseconds?: number): Promise<void>;
}

/** Nix has 25 connections of its own, and there may be some more of them. */
const MOST_CONNECTIONS = 512;

/** A request has a line and some headers. */
const HEADERS_LIMIT = 8 * 1024;
const HEADERS_MS = 10_000;

/** A connection on which nothing moves for so long is closed, as Nix does it (`stalled-download-timeout`). */
const IDLE_MS = 300_000;

/** Longer than Nix waits between requests of one build. */
const KEEP_ALIVE_MS = 75_000;

/** Requests of one connection that may wait for those before them. Nix sends one at a time. */
const MOST_WAITING = 16;

/** Who reads an answer this slowly keeps the server no longer. */
const DRAIN_MS = 50_000;

/** Begins to listen. Throws `E_USAGE` for an address that others reach, unless they may. */
export async function startWebServer(options: WebServerOptions): Promise<WebServer> {
  let draining = false;
  const sockets = new Set<Socket>();
  const queues = createQueues();
  const take = (request: IncomingMessage, response: ServerResponse): void =>
    queues.add(request.socket, () => serve(request, response, options, () => draining));
  const server = createServer(
    {
      ...{ maxHeaderSize: HEADERS_LIMIT, headersTimeout: HEADERS_MS, requestTimeout: HEADERS_MS },
      ...{ keepAliveTimeout: KEEP_ALIVE_MS, connectionsCheckingInterval: HEADERS_MS / 2 },
    },
    take,
  );
  server.maxConnections = MOST_CONNECTIONS;
  server.timeout = IDLE_MS;
  // What is asked with a body is refused before it is sent.
  server.on('checkContinue', take);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => refuseGarbage(error, socket));
  await listen(server, options);
  const closed = new Promise<void>((resolve) => server.once('close', resolve));
  return {
    address: addressOf(server),
    async drain(milliseconds = DRAIN_MS) {
      draining = true;
      server.close();
      // Also those on which nothing was ever asked.
      for (const socket of sockets) if (!queues.isBusy(socket)) socket.destroy();
      const breakOff = setTimeout(() => {
        for (const socket of sockets) socket.destroy();
      }, milliseconds);
      await closed;
      clearTimeout(breakOff);
    },
  };
}

/**
 * Has the requests of each connection answered one after the other. Node would begin with all of them, and a response that waits
 * for another does not hear that its client has gone.
 */
function createQueues() {
  const queues = new Map<Socket, { last: Promise<void>; size: number }>();
  return {
    isBusy: (socket: Socket) => queues.has(socket),
    add(socket: Socket, work: () => Promise<void>): void {
      const queue = queues.get(socket) ?? { last: Promise.resolve(), size: 0 };
      queues.set(socket, queue);
      if (queue.size > MOST_WAITING) return void socket.destroy();
      queue.size++;
      queue.last = queue.last.then(work).finally(() => {
        queue.size--;
        if (queue.size === 0) queues.delete(socket);
      });
    },
  };
}

async function listen(server: Server, { at, allowRemote }: WebServerOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => reject(cannotListen(at, cause)));
    server.listen('descriptor' in at ? { fd: at.descriptor } : { host: at.host, port: at.port }, resolve);
  });
  const bound = server.address();
  if (allowRemote || typeof bound !== 'object' || bound === null || isLoopback(bound.address)) return;
  server.close();
  throw remoteAddress(renderListenAddress({ host: bound.address, port: bound.port }));
}

/** The error of an address that others than this machine reach. */
export function remoteAddress(address: string): CarportError {
  return new CarportError('E_USAGE', `\`${address}\` can be reached from other machines`, {
    hint: 'listen on loopback, as `127.0.0.1:5000` or `[::1]:5000`; if everybody who reaches that address may have what is served, add `--allow-remote`',
  });
}

function cannotListen(at: ListenAt, cause: NodeJS.ErrnoException): CarportError {
  if ('descriptor' in at) {
    return new CarportError('E_USAGE', `descriptor ${at.descriptor} is no socket that can be listened at`, {
      cause,
      hint: 'it comes with LISTEN_FDS, which systemd sets for a service that has a `.socket`; take that variable away to use `--listen`',
    });
  }
  const where = `\`${renderListenAddress(at)}\``;
  if (isErrno(cause, 'EADDRINUSE')) {
    return new CarportError('E_IO', `another program listens at ${where} already`, {
      cause,
      hint: 'is it another `carport serve`? choose another port with `--listen`; port 0 takes any that is free',
    });
  }
  if (isErrno(cause, 'EACCES', 'EPERM')) {
    return new CarportError('E_IO', `this user may not listen at ${where}`, {
      cause,
      hint: 'ports below 1024 are for root; choose another one with `--listen`',
    });
  }
  return new CarportError('E_IO', `${where} cannot be listened at`, {
    cause,
    hint: 'give an address of this machine, such as `127.0.0.1:5000`',
  });
}

function addressOf(server: Server): string | undefined {
  const bound = server.address() as AddressInfo | string | null;
  if (bound === null || typeof bound === 'string') return undefined;
  return renderListenAddress({ host: bound.address, port: bound.port });
}

async function serve(
  incoming: IncomingMessage,
  response: ServerResponse,
  { handle, allowRemote, onDone }: WebServerOptions,
  isDraining: () => boolean,
): Promise<void> {
  const started = performance.now();
  const { method = '', url: target = '' } = incoming;
  const gone = new AbortController();
  const done = isOver(incoming, response);
  void done.then(() => gone.abort());
  // Node's own connection would otherwise keep the server.
  if (isDraining()) response.shouldKeepAlive = false;
  let failure: unknown;
  try {
    if (incoming.socket.destroyed) throw new Error('the client went away');
    const refusal = refusalOf(incoming, allowRemote, isDraining());
    if (refusal) response.shouldKeepAlive = false;
    const request: ServedRequest = { method: method === 'HEAD' ? 'HEAD' : 'GET', target, signal: gone.signal };
    const answer = refusal ?? (await handle(request));
    if (isDraining()) response.shouldKeepAlive = false;
    await sendAnswer(response, request, answer);
  } catch (error) {
    failure = error;
    response.destroy();
  }
  await done;
  if (failure === undefined && !response.writableFinished) failure = new Error('the client went away');
  const { statusCode: status } = response;
  const milliseconds = Math.round(performance.now() - started);
  onDone?.({ method, target, status, milliseconds, ...(failure !== undefined && { failure }) });
}

/** Settles when an answer is sent, or its client gone. A response that has no connection yet is told of neither. */
function isOver({ socket }: IncomingMessage, response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const over = () => {
      socket.off('close', over);
      response.off('close', over);
      resolve();
    };
    socket.on('close', over);
    response.on('close', over);
    if (socket.destroyed) over();
  });
}

/** What is answered without looking further: requests of web sites, of programs that want to write, and of none. */
function refusalOf({ method, url = '', headers }: IncomingMessage, allowRemote: boolean, isDraining: boolean) {
  const refuse = (status: number, body: string, more: Readonly<Record<string, string>> = {}): Answer => ({
    ...{ status, body: `${body}\n`, headers: more },
  });
  if (!allowRemote && !namesLoopback(headers.host)) {
    return refuse(403, 'This server answers to names of loopback only, such as 127.0.0.1 and localhost.');
  }
  if (isDraining) return refuse(503, 'This server is about to end.');
  if (method !== 'GET' && method !== 'HEAD')
    return refuse(405, 'This server can only be read.', { allow: 'GET, HEAD' });
  if (headers['transfer-encoding'] !== undefined || !['0', undefined].includes(headers['content-length'])) {
    return refuse(413, 'Requests have no body here.');
  }
  return url.startsWith('/') ? undefined : refuse(400, 'This server is no proxy.');
}

function refuseGarbage(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
  const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : '400 Bad Request';
  socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`, () => socket.destroy());
}
