/**
 * Requests with short answers, over connections of their own. There are thousands of them, for narinfos and small NARs, and of each
 * Node's client takes four times as long as the system does: of listeners, streams and promises nothing is needed here.
 */

import type { Socket } from 'node:net';
import type { HttpRequest } from '../transport.js';
import type { Route } from './agents.js';
import { createAnswerReader, type ShortAnswer } from './answer-reader.js';
import { createKeptConnections, type KeptConnections, type KeptOptions } from './kept-connections.js';

/** What came of a request: an answer, whole or with what broke it off; or nothing that is read here. */
export type Exchanged = (ShortAnswer & { readonly isSent: boolean; readonly error?: Error }) | undefined;

export interface Exchanges {
  /** Whether a request may be sent so. */
  takes(request: HttpRequest, route: Route): boolean;
  /** Sends it. Rejects when there was no answer; gives `undefined` when there was one that Node's client has to read. */
  send(request: HttpRequest, route: Route): Promise<Exchanged>;
  readonly connections: Pick<KeptConnections, 'keep' | 'close'>;
}

/** Bytes of a body that is sent so: it is in the system's hands at once. */
const SMALL_BODY = 256 * 1024;
/** Answers of one server, one after another, that only Node's client could read: then it is asked for all. */
const UNSUPPORTED_ANSWERS = 3;
const METHODS: readonly string[] = ['GET', 'HEAD', 'PUT', 'DELETE'];
/** What may be in a header's value (RFC 9110, section 5.5). */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Exchanges of one client. What they cannot read is counted for each server. */
export function createExchanges(options: KeptOptions): Exchanges {
  const connections = createKeptConnections(options);
  const unsupported = new Map<string, number>();
  return {
    takes: ({ method, url, headers, body, isShort }, { proxy }) =>
      isShort === true &&
      proxy === undefined &&
      METHODS.includes(method) &&
      (body === undefined || (body instanceof Uint8Array && body.length <= SMALL_BODY)) &&
      (unsupported.get(url.origin) ?? 0) < UNSUPPORTED_ANSWERS &&
      Object.values(headers).every((value) => VALUE.test(value)),
    send: (request, route) =>
      new Promise((resolve, reject) => {
        const { origin } = request.url;
        const connection = connections.take(origin, route);
        const { socket } = connection;
        const reader = createAnswerReader(request.method);
        const settle = (answer: ShortAnswer | undefined, error?: Error): void => {
          const isSent = socket.writableLength === 0;
          // What was not sent to its end leaves the connection out of step.
          if (answer?.isKept && isSent && !error) connections.giveBack(origin, connection, answer.headers);
          else socket.destroy();
          resolve(answer && { ...answer, isSent, ...(error && { error }) });
        };
        const end = (answer: ShortAnswer | undefined, error?: Error): void => {
          connection.current = undefined;
          // TLS says a turn later that all is written.
          if (answer && socket.writableLength > 0) setImmediate(settle, answer, error);
          else settle(answer, error);
        };
        connection.current = {
          url: request.url,
          take(bytes) {
            const reading = reader.take(bytes);
            if (reading === 'more') return;
            if (reading === 'unsupported') unsupported.set(origin, (unsupported.get(origin) ?? 0) + 1);
            else if (reading === 'whole') unsupported.delete(origin);
            end(reading === 'whole' ? reader.answer() : undefined);
          },
          fail(error) {
            const answer = reader.answer();
            if (answer) end(answer, error);
            else reject(error);
          },
        };
        write(socket, request, route.options.path!);
      }),
    connections,
  };
}

/** Head and body in one packet. */
function write(socket: Socket, { method, url, headers, body }: HttpRequest, path: string): void {
  let head = `${method} ${path} HTTP/1.1\r\nhost: ${url.host}\r\naccept-encoding: identity\r\n`;
  for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
  if (!(body instanceof Uint8Array)) {
    socket.write(`${head}\r\n`, 'latin1');
    return;
  }
  socket.cork();
  socket.write(`${head}content-length: ${body.length}\r\n\r\n`, 'latin1');
  socket.write(body);
  socket.uncork();
}
