/** Requests under way: a limit that sinks when the server asks for it. */

import { isErrno } from '../errors.js';
import type { HttpRequest, HttpResponse, TransportDecorator } from './transport.js';

/** Statuses with which a server asks for fewer requests. */
const SLOW_DOWN = [429, 503];

/** Answers to requests that were sent before the last cut say nothing new. */
const CUT_PAUSE_MS = 1000;

const MIB = 1024 * 1024;

/** Bytes of bodies under way: at first so many, then as many as are answered in good time. */
const FIRST_WINDOW = 2 * MIB;
const MIN_WINDOW = MIB / 2;
const MAX_WINDOW = 256 * MIB;
const QUICK_MS = 2_000;
const SLOW_MS = 5_000;

/**
 * At most `limit` requests are under way, of parts, objects and everything else together. A server that asks to slow
 * down gets half as many; each answer after that adds a little (additive increase, multiplicative decrease). Bodies are
 * limited by their bytes as well: over a slow line many at a time would all be answered late, and be taken for stalled.
 */
export function createAdaptiveLimit(limit: number): TransportDecorator {
  const waiting: readonly [bodiless: Waiting[], bodies: Waiting[]] = [[], []];
  let [allowed, window] = [limit, FIRST_WINDOW];
  let [underWay, bytesUnderWay] = [0, 0];
  let [lastCut, lastWindowCut] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];

  const hasRoom = (size: number): boolean =>
    underWay < Math.floor(allowed) && (size === 0 || bytesUnderWay === 0 || bytesUnderWay + size <= window);
  const begin = (size: number): void => {
    underWay++;
    bytesUnderWay += size;
  };
  const admit = (): void => {
    for (const queue of waiting) {
      while (queue[0] && hasRoom(queue[0].size)) {
        const { size, start } = queue.shift()!;
        begin(size);
        start();
      }
    }
  };
  const cutRequests = (): void => {
    if (performance.now() - lastCut <= CUT_PAUSE_MS) return;
    lastCut = performance.now();
    allowed = Math.max(1, allowed / 2);
  };
  const cutWindow = (): void => {
    if (performance.now() - lastWindowCut <= CUT_PAUSE_MS) return;
    lastWindowCut = performance.now();
    window = Math.max(MIN_WINDOW, window / 2);
  };
  const learn = ({ status }: HttpResponse, size: number, tookMs: number): void => {
    if (SLOW_DOWN.includes(status)) cutRequests();
    else allowed = Math.min(limit, allowed + 1 / allowed);
    if (tookMs > SLOW_MS) cutWindow();
    else if (tookMs < QUICK_MS) window = Math.min(MAX_WINDOW, window + size);
  };
  return (send) => async (request) => {
    const size = bodySize(request);
    if (waiting[0].length === 0 && (size === 0 || waiting[1].length === 0) && hasRoom(size)) begin(size);
    else await new Promise<void>((start) => waiting[size === 0 ? 0 : 1].push({ size, start }));
    const release = (): void => {
      underWay--;
      bytesUnderWay -= size;
      admit();
    };
    const started = performance.now();
    try {
      const response = await send(request);
      learn(response, size, performance.now() - started);
      if (response.whole) release();
      else void response.closed.then(release);
      return response;
    } catch (error) {
      if (isErrno(error, 'ETIMEDOUT')) cutWindow();
      release();
      throw error;
    }
  };
}

/** What has no body does not wait for what has one. */
interface Waiting {
  readonly size: number;
  start(): void;
}

function bodySize({ body }: HttpRequest): number {
  return body === undefined ? 0 : body instanceof Uint8Array ? body.length : body.size;
}
