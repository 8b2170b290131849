/** Answers of a server, and how they are sent: no faster than they are read, and never as whole when they are not. */

import type { ServerResponse } from 'node:http';

/** What a client asks for. */
export interface ServedRequest {
  readonly method: 'GET' | 'HEAD';
  /** The path as it was sent, with its query; it begins with `/`. */
  readonly target: string;
  /** Aborted when the client goes away, or the server gives up. */
  readonly signal: AbortSignal;
}

/** A body that is made while it is sent. */
export interface StreamedBody {
  /** Bytes, where that is known. A body that ends with fewer, or fails, breaks the connection. */
  readonly size?: number | undefined;
  pieces(): AsyncIterable<Uint8Array>;
  /** In place of reading it. */
  discard?(): void;
}

export interface Answer {
  readonly status: number;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | StreamedBody;
}

/** Sends an answer; settles when all of it is sent, or throws why it is not: then the connection is to be broken. */
export async function sendAnswer(
  response: ServerResponse,
  { method, signal }: ServedRequest,
  answer: Answer,
): Promise<void> {
  const { status, contentType = 'text/plain; charset=utf-8', headers = {}, body = '' } = answer;
  const told = typeof body === 'string' ? Buffer.byteLength(body, 'latin1') : body.size;
  const size = Number.isNaN(told) ? undefined : told;
  response.writeHead(status, {
    'content-type': contentType,
    ...(size !== undefined && { 'content-length': size }),
    // Nix would go on with a part, which is of no use without the rest.
    'accept-ranges': 'none',
    'x-content-type-options': 'nosniff',
    ...headers,
  });
  if (method === 'HEAD' && typeof body !== 'string') body.discard?.();
  if (method === 'HEAD') return void response.end();
  if (typeof body === 'string') return void response.end(body, 'latin1');
  let sent = 0;
  for await (const piece of body.pieces()) {
    signal.throwIfAborted();
    sent += piece.length;
    if (!response.write(piece)) await drained(response, signal);
  }
  if (size !== undefined && sent !== size) throw new Error('the body is not as long as was said');
  response.end();
}

async function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      response.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    response.on('drain', done);
    signal.addEventListener('abort', done);
  });
  signal.throwIfAborted();
}
