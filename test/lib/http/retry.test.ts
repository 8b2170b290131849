import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CarportError } from '#lib/errors.js';
import { createRetry, type RetryNotice, type RetryOptions } from '#lib/http/retry.js';
import type { HttpRequest, Transport } from '#lib/http/transport.js';
import { gather } from '../../support/files.js';
import { type FakeAnswer, fakeResponse, fakeTransport, networkError } from '../../support/transports.js';

/** On the timers that these tests turn by hand. */
const wait = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve, reject) => {
    setTimeout(resolve, ms);
    signal.addEventListener('abort', () => reject(signal.reason));
  });

const REQUEST: HttpRequest = { method: 'GET', url: new URL('http://host:1/x'), headers: {} };
const PATIENCE = 60_000;
const OK = { status: 200 };
const BUSY = { status: 503 };

describe('requests that fail', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance', 'Date'] }));
  afterEach(() => void vi.useRealTimers());

  const retryWith = (options: Partial<RetryOptions> = {}) =>
    createRetry({ patienceMs: PATIENCE, signal: new AbortController().signal, wait, ...options });

  /** Sends one request; gives what became of it, and when, by the clock of the test. */
  const run = async (send: Transport, request = REQUEST) => {
    const start = performance.now();
    const outcome = send(request).then(
      (response) => ({ response, error: undefined }),
      (error: unknown) => ({ response: undefined, error: error as CarportError }),
    );
    let done = false;
    void outcome.then(() => {
      done = true;
    });
    while (!done) await vi.advanceTimersByTimeAsync(5);
    return { ...(await outcome), ms: performance.now() - start };
  };

  it.each<readonly [string, FakeAnswer | Error]>([
    ...[408, 425, 429, 500, 502, 503, 504, 507, 509].map((status) => [`status ${status}`, { status }] as const),
    ...['ECONNRESET', 'ECONNREFUSED', 'EPIPE', 'ETIMEDOUT', 'EAI_AGAIN', 'ENETUNREACH'].map(
      (code) => [code, networkError(code)] as const,
    ),
    ...['BadDigest', 'IncompleteBody', 'RequestTimeout'].map(
      (code) => [code, { status: 400, refusal: `<Error><Code>${code}</Code></Error>` }] as const,
    ),
  ])('are sent again after %s', async (_, failure) => {
    const { send, sent } = fakeTransport([failure, failure, OK]);
    const { response } = await run(retryWith()(send));
    expect(response?.status).toBe(200);
    expect(sent.length).toBe(3);
  });

  it('are sent once only where they are trials, and leave the patience to others', async () => {
    const { send, sent } = fakeTransport([networkError('ECONNRESET'), BUSY, OK]);
    const retried = retryWith()(send);
    const trial = await run(retried, { ...REQUEST, isTrial: true });
    expect([trial.error?.code, sent.length]).toEqual(['E_UNAVAILABLE', 1]);
    expect((await run(retried)).response?.status).toBe(200);
  });

  it.each([400, 401, 403, 404, 405, 409, 411, 412, 416, 501])('are answered with status %d at once', async (status) => {
    const { send, sent } = fakeTransport([{ status }]);
    const { response, ms } = await run(retryWith()(send));
    expect([response?.status, sent.length, ms <= 5]).toEqual([status, 1, true]);
  });

  it.each([
    ['EPROTO', 'E_REMOTE', 'do not agree on TLS'],
    ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'E_REMOTE', 'do not agree on TLS'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'E_REMOTE', 'certificate'],
    ['CERT_HAS_EXPIRED', 'E_REMOTE', 'certificate'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'E_REMOTE', 'certificate'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'E_REMOTE', 'certificate'],
    ['HPE_INVALID_CONSTANT', 'E_USAGE', 'web server'],
    ['ENOTFOUND', 'E_NOT_FOUND', 'no host `host`'],
  ])('are not sent again after %s, which is explained', async (code, kind, words) => {
    const { send, sent } = fakeTransport([networkError(code)]);
    const { error } = await run(retryWith()(send));
    expect(sent.length).toBe(1);
    expect(error).toBeInstanceOf(CarportError);
    expect(error!.code).toBe(kind);
    expect(error!.message).toContain(words);
    expect(error!.hint).toBeDefined();
  });

  it('pass on errors of ours and others that nobody knows', async () => {
    const ours = new CarportError('E_FORMAT', 'x');
    expect((await run(retryWith()(fakeTransport([ours]).send))).error).toBe(ours);
    const foreign = new TypeError('x');
    expect((await run(retryWith()(fakeTransport([foreign]).send))).error).toBe(foreign);
  });

  it('wait for a random part of a pause that doubles up to 5 seconds', async () => {
    const pauses = async (random: number) => {
      const times: number[] = [];
      const { send } = fakeTransport([OK, ...Array.from({ length: 9 }, () => BUSY), OK]);
      const retry = retryWith({ random: () => random, onRetry: () => void times.push(performance.now()) })(send);
      await run(retry);
      await run(retry);
      times.push(performance.now());
      return times.slice(1).map((time, at) => Math.round(time - times[at]!));
    };
    const longest = [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000];
    const near = (all: readonly number[], wanted: readonly number[]) => {
      expect(all.length).toBe(wanted.length);
      for (const [at, each] of all.entries()) expect(Math.abs(each - wanted[at]!), `${all}`).toBeLessThan(20);
    };
    near(await pauses(0.999), longest);
    near(
      await pauses(0.5),
      longest.map((each) => each / 2),
    );
    near(
      await pauses(0),
      longest.map(() => 0),
    );
  });

  it('wait as long as `Retry-After` says and their own pause, in seconds or until a date', async () => {
    const waitFor = async (header: string) => {
      const { send } = fakeTransport([{ status: 503, headers: { 'retry-after': header } }, OK]);
      return (await run(retryWith({ random: () => 0.5 })(send))).ms;
    };
    const near = (ms: number, wanted: number, slack = 20) => expect(Math.abs(ms - wanted)).toBeLessThan(slack);
    near(await waitFor('3'), 3_050);
    near(await waitFor(new Date(Date.now() + 4_000).toUTCString()), 4_050, 1_020);
    const past = new Date(Date.now() - 50_000).toUTCString();
    // What says nothing does not take their own pause away.
    for (const nothing of ['0', past, 'soon', '-5', '1.5', '']) near(await waitFor(nothing), 50);
  });

  it('believe no server that wants them to wait for more than a minute', async () => {
    const { send } = fakeTransport([OK, { status: 503, headers: { 'retry-after': '86400' } }, OK]);
    const retry = retryWith({ patienceMs: 10 * PATIENCE, random: () => 0 })(send);
    await run(retry);
    expect(Math.abs((await run(retry)).ms - 60_000)).toBeLessThan(20);
  });

  it('wait no longer than their patience, whatever `Retry-After` says', async () => {
    const { send, sent } = fakeTransport([OK, { status: 503, headers: { 'retry-after': '86400' } }]);
    const retry = retryWith()(send);
    await run(retry);
    const { error, ms } = await run(retry);
    expect(error!.code).toBe('E_UNAVAILABLE');
    expect(ms).toBeGreaterThanOrEqual(PATIENCE);
    expect(ms).toBeLessThan(PATIENCE + 100);
    expect(sent.length).toBe(3);
  });

  it('give up a server that never answered after 10 seconds', async () => {
    const { error, ms } = await run(retryWith()(fakeTransport([networkError('ECONNREFUSED')]).send));
    expect(error!.code).toBe('E_UNAVAILABLE');
    expect(error!.message).toContain('`http://host:1` refuses connections');
    expect((error!.cause as Error).message).toContain('ECONNREFUSED');
    expect(error!.hint).toContain('run it again');
    expect(ms).toBeGreaterThanOrEqual(10_000);
    expect(ms).toBeLessThan(10_100);
  });

  it('give a server that has answered all of their patience, however short the pauses', async () => {
    const { send, sent } = fakeTransport([OK, networkError('ECONNRESET')]);
    const retry = retryWith({ random: () => 0.1 })(send);
    await run(retry);
    const { error, ms } = await run(retry);
    expect(error!.code).toBe('E_UNAVAILABLE');
    expect(Math.abs(ms - PATIENCE)).toBeLessThan(100);
    expect(sent.length).toBeGreaterThan(100);
  });

  it('share their patience: a server that is gone is found to be so once', async () => {
    const retry = retryWith();
    await run(retry(fakeTransport([OK]).send));
    const gone = retry(fakeTransport([networkError('ECONNREFUSED')]).send);
    const start = performance.now();
    const both = Promise.all([run(gone), vi.advanceTimersByTimeAsync(30_000).then(() => run(gone))]);
    const [first, second] = await both;
    expect(first.error!.code).toBe('E_UNAVAILABLE');
    expect(second.error!.code).toBe('E_UNAVAILABLE');
    expect(performance.now() - start).toBeLessThan(PATIENCE + 200);
    expect((await run(gone)).ms, 'after that').toBeLessThan(10);
  });

  it('fail at once when the server was given up, but for one in five seconds', async () => {
    const hang = retryWith();
    let tries = 0;
    const send = hang(async () => {
      tries++;
      await vi.advanceTimersByTimeAsync(0);
      await new Promise((resolve) => setTimeout(resolve, 20_000));
      throw networkError('ETIMEDOUT');
    });
    await run(send);
    tries = 0;
    for (let index = 0; index < 50; index++) expect((await run(send)).ms).toBeLessThan(10);
    expect(tries).toBe(0);
    await vi.advanceTimersByTimeAsync(5_000);
    const probes = Array.from({ length: 50 }, () => run(send));
    await Promise.all(probes);
    expect(tries).toBe(1);
  });

  it('tell how many tries they took', async () => {
    const { send } = fakeTransport([BUSY, BUSY, OK]);
    expect((await run(retryWith()(send))).response?.attempts).toBe(3);
  });

  it('are sent again after bytes that are no HTTP, when the server spoke HTTP before', async () => {
    const garbled = networkError('HPE_INVALID_CONSTANT');
    expect((await run(retryWith()(fakeTransport([garbled, OK]).send))).error?.code).toBe('E_USAGE');
    const retry = retryWith()(fakeTransport([OK, garbled, OK]).send);
    await run(retry);
    expect((await run(retry)).response?.attempts).toBe(2);
  });

  it('have all of their patience again after a good answer', async () => {
    let isUp = true;
    const send: Transport = async () => {
      if (!isUp) throw networkError('ECONNREFUSED');
      return fakeResponse().response;
    };
    const retry = retryWith()(send);
    await run(retry);
    for (let round = 0; round < 3; round++) {
      isUp = false;
      const waiting = run(retry);
      await vi.advanceTimersByTimeAsync(50_000);
      isUp = true;
      expect((await waiting).response?.status).toBe(200);
    }
  });

  it('end after twelve tries of one request while others are answered', async () => {
    const retry = retryWith({ random: () => 0.01 });
    const { send, sent } = fakeTransport([BUSY]);
    const good = retry(fakeTransport([OK]).send);
    await good(REQUEST);
    const failing = run(retry(send));
    let over = false;
    void failing.then(() => {
      over = true;
    });
    while (!over) {
      await vi.advanceTimersByTimeAsync(0.5);
      await good(REQUEST);
    }
    expect((await failing).error!.code).toBe('E_UNAVAILABLE');
    // Between two of them perhaps no other was.
    expect(sent.length).toBeGreaterThanOrEqual(12);
    expect(sent.length).toBeLessThan(16);
  });

  it('tell of each try before the next', async () => {
    const notices: RetryNotice[] = [];
    const { send } = fakeTransport([BUSY, networkError('ECONNRESET'), OK]);
    await run(retryWith({ onRetry: (notice) => void notices.push(notice) })(send));
    expect(notices).toEqual([
      { url: REQUEST.url, reason: 'status 503', attempt: 1 },
      { url: REQUEST.url, reason: 'it failed: ECONNRESET', attempt: 2 },
    ]);
  });

  it('send a body from its beginning each time', async () => {
    let opened = 0;
    const open = async function* () {
      opened++;
      yield Buffer.from('all of ');
      yield Buffer.from('it');
    };
    const bodies: string[] = [];
    const send: Transport = async ({ body }) => {
      const source = (body as { open(): AsyncIterable<Uint8Array> }).open();
      if (bodies.length === 0) {
        for await (const piece of source) {
          bodies.push(piece.toString());
          throw networkError('EPIPE');
        }
      }
      bodies.push((await gather(source)).toString());
      return fakeResponse({ status: bodies.length < 4 ? 500 : 200 }).response;
    };
    await run(retryWith()(send), { ...REQUEST, method: 'PUT', body: { size: 9, open } });
    expect(bodies).toEqual(['all of ', 'all of it', 'all of it', 'all of it']);
    expect(opened).toBe(4);
  });

  it('stop with the signal, also in a pause', async () => {
    const stop = new AbortController();
    const { send, sent } = fakeTransport([{ status: 503, headers: { 'retry-after': '50' } }]);
    const running = run(retryWith({ signal: stop.signal })(send));
    await vi.advanceTimersByTimeAsync(10);
    const reason = new CarportError('E_INTERRUPTED', 'stopped');
    stop.abort(reason);
    const { error, ms } = await running;
    expect(ms).toBeLessThan(100);
    expect([error, error?.cause]).toContain(reason);
    expect(sent.length).toBe(1);
  });

  it('warn of nothing when very many of them wait', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    const retry = retryWith();
    const { send } = fakeTransport([...Array.from({ length: 50 }, () => BUSY), OK]);
    await Promise.all(Array.from({ length: 50 }, () => run(retry(send))));
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
  });
});
