/** The transport of a server: connections, and what decorates them, put together. */

import { spareFiles } from '../filesystem/open-files.js';
import { createAdaptiveLimit } from './adaptive-limit.js';
import { readAuthorities } from './connections/certificates.js';
import { openConnections } from './connections/connections.js';
import { createRetry, type RetryNotice } from './retry.js';
import { type TracedRequest, traceRequests } from './trace.js';
import type { Transport, TransportDecorator } from './transport.js';

export interface HttpClientOptions {
  /** Names files of certificates, and proxies. */
  readonly env: NodeJS.ProcessEnv;
  /** Stops what is under way. */
  readonly signal: AbortSignal;
  /** Milliseconds that a server may be gone before work with it fails. */
  readonly patienceMs?: number;
  /** Milliseconds without a byte after which a connection is given up. */
  readonly stallMs?: number;
  /** Requests that are under way at most. */
  readonly requests?: number;
  readonly onRetry?: (notice: RetryNotice) => void;
  /** Stands between the retries and the network, as tests want it. */
  readonly decorate?: TransportDecorator;
  /** Told of each try of a request. */
  readonly onRequest?: (request: TracedRequest) => void;
}

/** Requests to one cache: they share connections, the limit, and the patience with the server. */
export interface HttpClient {
  /** With retries and the limit; `inner` comes below both, so that each try is signed anew. */
  transport(inner?: TransportDecorator): Transport;
  /** For tidying up when the work was interrupted: one try, for a few seconds. */
  cleanupTransport(): Transport;
  /** Stops what is under way, and lets connections go. */
  close(): void;
}

const DEFAULT_PATIENCE_MS = 60_000;
const DEFAULT_STALL_MS = 20_000;
const MIN_STALL_MS = 3_000;
const CLEANUP_MS = 5_000;

/** Garage answers small objects over 32 connections 700 times a second, over 128 as fast as it can. */
const DEFAULT_REQUESTS = 128;

/** As many requests at a time as the process may have connections for. */
function defaultRequests(): number {
  return Math.max(2, Math.min(DEFAULT_REQUESTS, Math.floor(spareFiles() / 2)));
}

export function createHttpClient(options: HttpClientOptions): HttpClient {
  const { env, signal, requests = defaultRequests(), onRetry, onRequest, decorate = unchanged } = options;
  const { patienceMs = DEFAULT_PATIENCE_MS } = options;
  const { stallMs = Math.max(MIN_STALL_MS, Math.min(DEFAULT_STALL_MS, patienceMs)) } = options;
  const closing = new AbortController();
  const stop = AbortSignal.any([signal, closing.signal]);
  const authorities = () => readAuthorities(env);
  const connections = openConnections({ connections: requests, stallMs, authorities, env, signal: stop });
  const retry = createRetry({ patienceMs, signal: stop, ...(onRetry && { onRetry }) });
  const limit = createAdaptiveLimit(requests);
  const trace = onRequest ? traceRequests(onRequest) : unchanged;
  const brief = { connections: 1, stallMs: CLEANUP_MS };
  return {
    transport: (inner = unchanged) => retry(limit(trace(inner(decorate(connections.send))))),
    cleanupTransport: () =>
      decorate(openConnections({ ...brief, authorities, env, signal: AbortSignal.timeout(CLEANUP_MS) }).send),
    close() {
      // What is still under way would otherwise try again.
      closing.abort();
      connections.close();
    },
  };
}

function unchanged(send: Transport): Transport {
  return send;
}
