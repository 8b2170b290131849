/** Requests, answers, and what a decorator is. */

import type { IncomingHttpHeaders } from 'node:http';
import type { Pieces } from '../buffers.js';

/** Headers of an answer by their names in lower case. */
export type ResponseHeaders = IncomingHttpHeaders;

/** A body that can be sent several times: a try that fails leaves nothing behind. */
export type RequestBody = Uint8Array | { readonly size: number; open(): AsyncIterable<Uint8Array> };

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  readonly url: URL;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: RequestBody;
  /** Whether the answer is expected to be short. A long one costs another request. */
  readonly isShort?: boolean;
  /** Whether it is sent once only: where nothing comes of it, something else is tried. */
  readonly isTrial?: boolean;
}

export interface HttpResponse {
  readonly status: number;
  readonly headers: ResponseHeaders;
  /** Tries that it took: with more than one, an earlier one may have done its work although nobody heard of it. */
  readonly attempts?: number;
  /** The name of its document's first element, of an answer that was read for that. */
  readonly root?: string;
  /** What a refusal (a status of 300 or more) says, at most 64 KiB of it. */
  readonly refusal?: string;
  /** Must be read or discarded. */
  readonly body: Pieces;
  /** All of the body, in memory of its own, where it came so: then it need be neither read nor discarded. */
  readonly whole?: Uint8Array;
  /** Lets the connection go. */
  discard(): void;
  /** Settles when the body was read or discarded, or nothing came of it for too long. */
  readonly closed: Promise<void>;
}

/**
 * Sends one request. Decorators add one concern each: signatures, a limit of requests under way, retries. Statuses are
 * answers; what throws is that there was none.
 */
export type Transport = (request: HttpRequest) => Promise<HttpResponse>;

/** Adds a concern to a transport. What it knows is shared by all transports that it decorates. */
export type TransportDecorator = (send: Transport) => Transport;
