import { describe, expect, it } from 'vitest';
import { obeyRateLimits, pauseOf } from '#lib/forge/rate-limit.js';
import type { HttpResponse } from '#lib/http/transport.js';
import { getRequest } from '../../support/http-server.js';

const NOW = Date.parse('2026-11-01T12:00:00Z');

function answer(status: number, headers: HttpResponse['headers'] = {}, refusal = ''): HttpResponse {
  const body = (async function* () {})();
  return { status, headers, refusal, body, discard: () => undefined, closed: Promise.resolve() };
}

describe('limits of requests', () => {
  it('are read as forges tell them', () => {
    const reset = String(NOW / 1000 + 90);
    for (const [response, expected] of [
      [answer(403, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': reset }), 91_000],
      [
        answer(429, {
          'x-ratelimit-remaining': '0',
          'x-ratelimit-reset': reset,
          date: new Date(NOW + 30_000).toUTCString(),
        }),
        61_000,
      ],
      [answer(403, { 'retry-after': '7' }), 7000],
      [answer(429, { 'retry-after': new Date(NOW + 5000).toUTCString() }), 6000],
      [answer(403, {}, '{"message":"You have exceeded a secondary rate limit"}'), 60_000],
      [
        answer(
          403,
          { 'x-ratelimit-remaining': '12', 'x-ratelimit-reset': reset },
          '{"message":"Resource not accessible"}',
        ),
        undefined,
      ],
      [answer(429), undefined],
      [answer(503, { 'retry-after': '7' }), undefined],
      [answer(200, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': reset }), undefined],
    ] as const) {
      expect(pauseOf(response, 0, NOW)).toBe(expected);
    }
    expect(pauseOf(answer(403, {}, 'secondary rate limit'), 2, NOW)).toBe(240_000);
  });

  it('are waited for, told of, by all requests, and not beyond the patience', async () => {
    let now = NOW;
    const [waits, pauses]: [number[], number[]] = [[], []];
    const answers = [
      answer(403, { 'retry-after': '30' }),
      answer(200),
      answer(200),
      answer(429, { 'retry-after': '31' }),
    ];
    const send = obeyRateLimits({
      ...{ patienceMs: 60_000, signal: new AbortController().signal, now: () => now },
      onPause: ({ seconds }) => pauses.push(seconds),
      async wait(milliseconds) {
        waits.push(milliseconds);
        now += milliseconds;
      },
    })(async () => answers.shift()!);
    expect((await send(getRequest('https://git.example.org/'))).status).toBe(200);
    expect((await send(getRequest('https://git.example.org/'))).status).toBe(200);
    expect([waits, pauses]).toEqual([[30_000], [30]]);
    await expect(send(getRequest('https://git.example.org/'))).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
    expect(waits).toEqual([30_000]);
  });

  it('are an end also where a forge says to come again at once, without an end', async () => {
    let [now, asked] = [NOW, 0];
    const send = obeyRateLimits({
      ...{ patienceMs: 10_000, signal: new AbortController().signal, now: () => now, onPause: () => undefined },
      async wait(milliseconds) {
        now += milliseconds;
      },
    })(async () => (asked++ < 100 ? answer(429, { 'retry-after': '0' }) : answer(200)));
    await expect(send(getRequest('https://git.example.org/'))).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
    expect(asked).toBe(11);
  });
});
