/** Work with caches: their patience, warnings, interrupts. */

import { type OpenCache, openCache } from '../../cache/open.js';
import { CarportError } from '../../lib/errors.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { debugTopics, sayRequest } from '../reporters/debug.js';
import { type Settings, singleValue } from '../settings/settings.js';
import type { CommonOptions, Context } from './context.js';
import { interruptible } from './interrupt.js';
import { count } from './terminal.js';
import { warnPeople } from './warnings.js';

export interface CacheUse {
  readonly context: Context;
  readonly settings: Settings;
  /** Told when a server has to be asked again and again. */
  readonly emit: Emit<WarningEvent>;
}

/** The use of a command, which says warnings of servers to people. */
export function cacheUse(settings: Settings, options: CommonOptions, context: Context): CacheUse {
  return { settings, context, emit: warnPeople(context, options) };
}

/** A request that fails so often in a row is worth a word, but not more often than this. */
const NOTICE_ATTEMPT = 3;
const NOTICE_PAUSE_MS = 10_000;

/** Works with caches and lets them go. An interrupt stops their requests, so that the work fails and cleans up. */
export async function withCaches<T>(
  urls: readonly string[],
  use: CacheUse,
  work: (caches: readonly OpenCache[], signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const patienceMs = retrySeconds(use.settings) * 1000;
  let lastNotice = Number.NEGATIVE_INFINITY;
  const topics = debugTopics(use.context.env);
  const caches = urls.map((url) =>
    openCache(url, {
      ...{ env: use.context.env, signal: stop.signal, patienceMs },
      ...(topics.has('http') && { onRequest: (request) => sayRequest(use.context, request) }),
      onRetry({ url: { protocol, host }, reason, attempt }) {
        if (attempt < NOTICE_ATTEMPT || performance.now() - lastNotice < NOTICE_PAUSE_MS) return;
        lastNotice = performance.now();
        const message = `\`${protocol}//${host}\` does not answer as it should (${reason}): trying again for up to ${count(patienceMs / 1000, 'second')}`;
        use.emit({ type: 'warning', message });
      },
    }),
  );
  try {
    return await interruptible(
      () => stop.abort(),
      () => work(caches, stop.signal),
    );
  } finally {
    await Promise.all(caches.map(({ objects }) => objects.close()));
  }
}

/** Works with one cache as `withCaches` does with several. */
export function withCache<T>(
  url: string,
  use: CacheUse,
  work: (cache: OpenCache, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return withCaches([url], use, ([cache], signal) => work(cache!, signal));
}

const DEFAULT_RETRY_SECONDS = 60;
const MAX_RETRY_SECONDS = 24 * 60 * 60;

function retrySeconds(settings: Settings): number {
  const setting = settings['retry-seconds'];
  const text = singleValue(setting);
  if (text === undefined) return DEFAULT_RETRY_SECONDS;
  if (/^[0-9]+$/.test(text) && Number(text) <= MAX_RETRY_SECONDS) return Number(text);
  throw new CarportError(
    'E_USAGE',
    `\`${text}\` (${setting.origin}) is not a number of seconds from 0 to ${MAX_RETRY_SECONDS}`,
  );
}
