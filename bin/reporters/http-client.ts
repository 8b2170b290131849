/** Requests of a command to servers that are no caches, such as registries and forges; what goes wrong with them is told. */

import { createHttpClient, type HttpClient } from '../../lib/http/client.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import type { Context } from '../cli/context.js';
import { patienceOf } from '../cli/with-caches.js';
import type { Settings } from '../settings/setting.js';
import { debugTopics, sayRequest } from './debug.js';

export interface ClientUse {
  readonly context: Context;
  readonly options: { readonly settings: Pick<Settings, 'retry-seconds'> };
  readonly signal: AbortSignal;
  /** Told once when a server has to be asked again and again. */
  readonly emit: Emit<WarningEvent>;
  /** Milliseconds without a byte after which a connection is given up. */
  readonly stallMs?: number;
}

/** A request that fails so often in a row is worth a word. */
const NOTICE_ATTEMPT = 3;

/** A client with the patience that is set. */
export function openClient({ context, options, signal, emit, stallMs }: ClientUse): HttpClient {
  const seconds = patienceOf(options);
  let isTold = false;
  return createHttpClient({
    ...{ env: context.env, signal, patienceMs: seconds * 1000, ...(stallMs !== undefined && { stallMs }) },
    ...(debugTopics(context.env).has('http') && { onRequest: (request) => sayRequest(context, request) }),
    onRetry({ url: { host }, reason, attempt }) {
      if (attempt < NOTICE_ATTEMPT || isTold) return;
      isTold = true;
      emit({
        type: 'warning',
        message: `\`${host}\` does not answer as it should (${reason}): trying again for up to ${seconds} seconds`,
      });
    },
  });
}
