/** Tells each try of each request, for those who look into what happens. */

import type { HttpRequest, Transport, TransportDecorator } from './transport.js';

/** One try: a method, a path without its query, and what came of it. Nothing of it is a secret. */
export interface TracedRequest {
  readonly method: string;
  readonly host: string;
  /** As it was sent, percent-encoded; queries may hold signatures and are left out. */
  readonly path: string;
  /** From 1. */
  readonly attempt: number;
  /** Undefined when there was no answer. */
  readonly status: number | undefined;
  /** Until the head of the answer was there. */
  readonly milliseconds: number;
}

/** Decorates a transport that is asked once for each try. */
export function traceRequests(tell: (request: TracedRequest) => void): TransportDecorator {
  const attempts = new WeakMap<HttpRequest, number>();
  return (send: Transport) => async (request) => {
    const attempt = (attempts.get(request) ?? 0) + 1;
    attempts.set(request, attempt);
    const started = performance.now();
    const { method, url } = request;
    const told = (status: number | undefined) =>
      tell({ method, host: url.host, path: url.pathname, attempt, status, milliseconds: performance.now() - started });
    try {
      const response = await send(request);
      told(response.status);
      return response;
    } catch (error) {
      told(undefined);
      throw error;
    }
  };
}
