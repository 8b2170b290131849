/** Work with caches: their patience, warnings, interrupts. */

import type { CacheUrl } from '../../cache/cache-url.js';
import { type OpenCache, openCache } from '../../cache/open.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { debugTopics, sayRequest } from '../reporters/debug.js';
import type { Settings } from '../settings/setting.js';
import type { Context } from './context.js';
import { interruptible } from './interrupt.js';
import { count } from './terminal.js';
import { warnPeople } from './warnings.js';

/** The command that uses caches. */
export interface CacheUse {
  readonly context: Context;
  readonly options: { readonly settings: Pick<Settings, 'retry-seconds'> };
  /** Told when a server has to be asked again and again; without it people are told. */
  readonly emit?: Emit<WarningEvent>;
}

const DEFAULT_RETRY_SECONDS = 60;

/** A request that fails so often in a row is worth a word, but not more often than this. */
const NOTICE_ATTEMPT = 3;
const NOTICE_PAUSE_MS = 10_000;

/** For how many seconds a server may be gone. */
export function patienceOf({ settings }: CacheUse['options']): number {
  return settings['retry-seconds'].value ?? DEFAULT_RETRY_SECONDS;
}

/** Works with caches and lets them go. An interrupt stops their requests, so that the work fails and cleans up. */
export async function withCaches<T>(
  urls: readonly CacheUrl[],
  { context, options, emit = warnPeople(context) }: CacheUse,
  work: (caches: readonly OpenCache[], signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const caches = openCaches(urls, { context, options, emit }, stop.signal);
  try {
    return await interruptible(
      () => stop.abort(),
      () => work(caches, stop.signal),
    );
  } finally {
    await closeCaches(caches);
  }
}

/** Lets caches go. */
export async function closeCaches(caches: readonly OpenCache[]): Promise<void> {
  await Promise.all(caches.map(({ objects }) => objects.close()));
}

/** Opens caches, whose requests a signal stops, for work that interrupts do not stop; `closeCaches` lets them go. */
export function openCaches(
  urls: readonly CacheUrl[],
  { context, options, emit = warnPeople(context) }: CacheUse,
  signal: AbortSignal,
): readonly OpenCache[] {
  const patienceMs = patienceOf(options) * 1000;
  let lastNotice = Number.NEGATIVE_INFINITY;
  const topics = debugTopics(context.env);
  return urls.map((url) =>
    openCache(url, {
      env: context.env,
      signal,
      patienceMs,
      ...(topics.has('http') && { onRequest: (request) => sayRequest(context, request) }),
      onRetry({ url: { protocol, host }, reason, attempt }) {
        if (attempt < NOTICE_ATTEMPT || performance.now() - lastNotice < NOTICE_PAUSE_MS) return;
        lastNotice = performance.now();
        const message = `\`${protocol}//${host}\` does not answer as it should (${reason}): trying again for up to ${count(patienceMs / 1000, 'second')}`;
        emit({ type: 'warning', message });
      },
    }),
  );
}

/** Works with one cache and lets it go, as `withCaches` does with several. */
export function withCache<T>(
  url: CacheUrl,
  use: CacheUse,
  work: (cache: OpenCache, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return withCaches([url], use, ([cache], signal) => work(cache!, signal));
}
