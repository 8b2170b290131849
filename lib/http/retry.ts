/** Tries again, with the patience that all requests to a server share. */

import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  explainNetworkError,
  isGarbled,
  isTransientError,
  isTransientResponse,
  statusError,
  unavailable,
} from './failure.js';
import type { HttpRequest, HttpResponse, Transport, TransportDecorator } from './transport.js';

export interface RetryOptions {
  /** Milliseconds that a server may be gone, counted from its last good answer. */
  readonly patienceMs: number;
  /** Told before a request is sent again. */
  readonly onRetry?: (notice: RetryNotice) => void;
  readonly signal: AbortSignal;
  readonly random?: () => number;
  /** Waits, or throws the signal's reason. */
  readonly wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
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

/** No server is believed that wants a longer pause. */
const MAX_RETRY_AFTER_MS = 60_000;

/** A server that was given up is asked by one request in so long. */
const PROBE_PAUSE_MS = 5_000;

/**
 * Sends a request again when that may help, after a random part of a growing pause (full jitter), and not before what
 * `Retry-After` says. Ends with `E_UNAVAILABLE` in bounded time: all requests to a server share its patience, and what comes
 * after it is over fails at once.
 */
export function createRetry(options: RetryOptions): TransportDecorator {
  const { patienceMs, onRetry, signal, random = Math.random, wait = pauseFor } = options;
  const servers = new Map<string, ServerState>();
  // A cache may lead to other servers: what those do is not its own doing.
  const stateOf = ({ origin }: URL): ServerState => {
    const known = servers.get(origin);
    if (known) return known;
    const state: ServerState = { answered: false, failingSince: undefined, gaveUp: undefined };
    servers.set(origin, state);
    return state;
  };
  // As many pauses at a time as requests.
  setMaxListeners(0, signal);

  const once = async (send: Transport, request: HttpRequest, server: ServerState): Promise<HttpResponse | Failure> => {
    try {
      const response = await send(request);
      if (isTransientResponse(response)) return { cause: statusError(response), retryAfterMs: retryAfter(response) };
      server.answered = true;
      server.failingSince = undefined;
      server.gaveUp = undefined;
      return response;
    } catch (error) {
      signal.throwIfAborted();
      if (isTransientError(error) || (server.answered && isGarbled(error)))
        return { cause: error, retryAfterMs: undefined };
      throw explainNetworkError(error, request.url);
    }
  };
  return (send) => async (request) => {
    const server = stateOf(request.url);
    if (server.gaveUp && performance.now() - server.gaveUp.at < PROBE_PAUSE_MS)
      throw unavailable(request.url, server.gaveUp.cause);
    if (server.gaveUp) server.gaveUp.at = performance.now();
    for (let attempt = 1, alone = 0; ; attempt++) {
      const started = performance.now();
      const result = await once(send, request, server);
      if (!('cause' in result)) return attempt === 1 ? result : { ...result, attempts: attempt };
      if (request.isTrial) throw unavailable(request.url, result.cause);
      const now = performance.now();
      server.failingSince ??= now;
      // Others were answered since this was sent.
      if (server.failingSince >= started) alone++;
      const left = server.failingSince + (server.answered ? patienceMs : Math.min(patienceMs, FIRST_CONTACT_MS)) - now;
      if (left <= 0) server.gaveUp = { at: now, cause: result.cause };
      if (alone >= ATTEMPTS || left <= 0) throw unavailable(request.url, result.cause);
      onRetry?.({ url: request.url, reason: result.cause.message, attempt });
      const jitter = random() * Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (attempt - 1));
      // Those that are told the same do not come back all at once.
      const pause = jitter + Math.min(MAX_RETRY_AFTER_MS, result.retryAfterMs ?? 0);
      await wait(Math.min(pause, left), signal);
    }
  };
}

/** What requests to one server have in common. */
interface ServerState {
  answered: boolean;
  failingSince: number | undefined;
  gaveUp: { at: number; readonly cause: Error } | undefined;
}

interface Failure {
  readonly cause: Error;
  readonly retryAfterMs: number | undefined;
}

async function pauseFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal });
}

/** `Retry-After` in seconds or as a date (RFC 9110, section 10.2.3). */
function retryAfter({ headers }: HttpResponse): number | undefined {
  const text = headers['retry-after'];
  if (text === undefined) return undefined;
  if (/^[0-9]+$/.test(text)) return Number(text) * 1000;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}
