import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { explainNetworkError, isTransientError, isTransientResponse, statusError, unavailable } from './failure.js';
import type { HttpRequest, HttpResponse, Transport, TransportDecorator } from './transport.js';

export interface RetryOptions {
  /** Milliseconds that a server may be gone, counted from its last good answer. */
  readonly patienceMs: number;
  /** Told before a request is sent again. */
  readonly onRetry?: (notice: RetryNotice) => void;
  readonly signal: AbortSignal;
  readonly random?: () => number;
}

export interface RetryNotice {
  readonly url: URL;
  readonly reason: string;
  /** Which try failed, from 1. */
  readonly attempt: number;
}

/** Tries of one request that fail while others succeed; a server that fails all of them has its patience. */
const ATTEMPTS = 12;

/** The longest pause before the first retry; it doubles, up to the maximum. */
const FIRST_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5_000;

/** A server that has never answered is probably a wrong URL. */
const FIRST_CONTACT_MS = 10_000;

/**
 * Sends a request again when that may help, after a random part of a growing pause (full jitter), or after what
 * `Retry-After` says. Ends with `E_UNAVAILABLE` in bounded time: all requests share the server's patience, so that a
 * server that is gone is found to be so once.
 */
export function createRetry(options: RetryOptions): TransportDecorator {
  const { patienceMs, onRetry, signal, random = Math.random } = options;
  let answered = false;
  let failingSince: number | undefined;
  // As many pauses at a time as requests.
  setMaxListeners(0, signal);

  const once = async (send: Transport, request: HttpRequest): Promise<HttpResponse | Failure> => {
    try {
      const response = await send(request);
      if (isTransientResponse(response)) return { cause: statusError(response), retryAfterMs: retryAfter(response) };
      [answered, failingSince] = [true, undefined];
      return response;
    } catch (error) {
      signal.throwIfAborted();
      if (isTransientError(error)) return { cause: error, retryAfterMs: undefined };
      throw explainNetworkError(error, request.url);
    }
  };
  return (send) => async (request) => {
    for (let attempt = 1, alone = 0; ; attempt++) {
      const started = performance.now();
      const result = await once(send, request);
      if (!('cause' in result)) return result;
      const now = performance.now();
      failingSince ??= now;
      // Others were answered since this was sent.
      if (failingSince >= started) alone++;
      const left = failingSince + (answered ? patienceMs : Math.min(patienceMs, FIRST_CONTACT_MS)) - now;
      if (alone >= ATTEMPTS || left <= 0) throw unavailable(request.url, result.cause);
      onRetry?.({ url: request.url, reason: result.cause.message, attempt });
      const pause = result.retryAfterMs ?? random() * Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1));
      await sleep(Math.min(pause, left), undefined, { signal });
    }
  };
}

interface Failure {
  readonly cause: Error;
  readonly retryAfterMs: number | undefined;
}

/** `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3). */
function retryAfter({ headers }: HttpResponse): number | undefined {
  const text = headers['retry-after'];
  if (text === undefined) return undefined;
  if (/^[0-9]+$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}
