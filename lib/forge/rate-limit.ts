/**
 * Obeys a forge that asks for fewer requests: waits as long as it says, or fails where that is too long. Source: GitHub's "Rate
 * limits for the REST API", RFC 9110 (`Retry-After`).
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { CarportError } from '../errors.js';
import type { HttpResponse, TransportDecorator } from '../http/transport.js';

export interface RateLimitOptions {
  /** Milliseconds that are waited at most, all pauses together. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
  /** Told before each pause. */
  readonly onPause: (pause: { readonly host: string; readonly seconds: number }) => void;
  readonly now?: () => number;
  readonly wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

/** Where a limit is named and no time: at least a minute, and longer each time. */
const UNSAID_MS = 60_000;

/** Clocks differ, and those who wait come back together. */
const MARGIN_MS = 1000;

/** Below what tries again: a request that was refused so was not done, and may be sent again whatever it is. */
export function obeyRateLimits(options: RateLimitOptions): TransportDecorator {
  const { patienceMs, signal, onPause, now = Date.now, wait = pauseFor } = options;
  let [resumeAt, waited, inARow] = [0, 0, 0];
  return (send) => async (request) => {
    for (;;) {
      // Others were asked to wait: so is this one.
      if (resumeAt > now()) await wait(resumeAt - now(), signal);
      const response = await send(request);
      const asked = pauseOf(response, inARow, now());
      if (asked === undefined) {
        inARow = 0;
        return response;
      }
      response.discard();
      inARow++;
      // Whoever says at once again and again is not asked without an end, as no pause is.
      const until = now() + Math.max(asked, MARGIN_MS);
      const more = until - Math.max(resumeAt, now());
      if (waited + more > patienceMs) throw tooLong(request.url.host, asked, patienceMs);
      if (more > 0) {
        waited += more;
        resumeAt = until;
        onPause({ host: request.url.host, seconds: Math.ceil(asked / 1000) });
      }
    }
  };
}

/** Milliseconds that an answer asks to wait; nothing for one that does not, or that may be tried again sooner. */
export function pauseOf(
  { status, headers, refusal = '' }: Pick<HttpResponse, 'status' | 'headers' | 'refusal'>,
  before: number,
  now: number,
): number | undefined {
  if (status !== 403 && status !== 429) return undefined;
  const serverNow = Date.parse(headers.date ?? '') || now;
  const after = headers['retry-after'];
  if (after !== undefined && /^[0-9]{1,9}$/.test(after)) return Number(after) * 1000;
  if (after !== undefined && !Number.isNaN(Date.parse(after))) {
    return Math.max(0, Date.parse(after) - serverNow) + MARGIN_MS;
  }
  const reset = String(headers['x-ratelimit-reset'] ?? '');
  if (headers['x-ratelimit-remaining'] === '0' && /^[0-9]{1,12}$/.test(reset)) {
    return Math.max(0, Number(reset) * 1000 - serverNow) + MARGIN_MS;
  }
  // Of 429 alone the usual pauses are enough.
  return /rate limit|abuse detection/i.test(refusal) ? UNSAID_MS * 2 ** Math.min(before, 6) : undefined;
}

function tooLong(host: string, asked: number, patienceMs: number): CarportError {
  const minutes = (milliseconds: number) => `${Math.ceil(milliseconds / 60_000)} min`;
  return new CarportError('E_UNAVAILABLE', `\`${host}\` takes no more requests for ${minutes(asked)}`, {
    hint: `run the same command again then: it does what is left. \`--rate-limit-wait\` says how long to wait in all (now ${minutes(patienceMs)})`,
  });
}

async function pauseFor(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal });
}
