import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach } from 'vitest';
import type { HttpRequest } from '#lib/http/transport.js';

export interface HttpServer {
  /** `http://127.0.0.1:PORT/`. */
  readonly url: URL;
  /** Connections that were opened so far. */
  connections(): number;
  /** Connections that are open. */
  open(): number;
}

/** Web servers that answer as a test says; closed after it. */
export function useHttpServers(): (answer: RequestListener) => Promise<HttpServer> {
  const stops: (() => Promise<void>)[] = [];
  afterEach(async () => {
    await Promise.all(stops.splice(0).map((stop) => stop()));
  });
  return async (answer) => {
    const server = createServer({ keepAliveTimeout: 0 }, answer);
    const sockets = new Set<Socket>();
    let connections = 0;
    server.on('connection', (socket: Socket) => {
      connections++;
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    stops.push(async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    });
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    return { url, connections: () => connections, open: () => sockets.size };
  };
}

/** Answers with a body, and with its length. */
export function answerWith(
  response: ServerResponse,
  body: Uint8Array | string = '',
  {
    status = 200,
    headers = {},
  }: { readonly status?: number; readonly headers?: Readonly<Record<string, string>> } = {},
): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(body), ...headers }).end(body);
}

/** Reads what a client sends, to its end. */
export async function readRequest(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

export function getRequest(url: URL | string, headers: Readonly<Record<string, string>> = {}): HttpRequest {
  return { method: 'GET', url: new URL(url), headers };
}
