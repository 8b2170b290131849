/** The command `serve`: from its options to a server that listens, and to its end. */

import { createNarShortcut } from '../../cache/serve/by-delta.js';
import type { ServeEvent } from '../../cache/serve/events.js';
import type { Handler } from '../../cache/serve/handler.js';
import { createWholeNarReader } from '../../cache/serve/plain-nar.js';
import { createCacheServer } from '../../cache/serve/session.js';
import { CarportError } from '../../lib/errors.js';
import { type RequestDone, startWebServer } from '../../lib/http/server/server.js';
import type { Emit } from '../../lib/work.js';
import type { Context } from '../cli/context.js';
import { closeCaches, openCaches } from '../cli/with-caches.js';
import { createPool } from '../cli/with-pool.js';
import { localDelta } from '../pull/delta.js';
import type { ServeOptions } from './command.js';
import { placeToListen } from './listen.js';
import { createServeReport } from './report.js';
import { awaitEndSignals } from './signals.js';

/** Who may be offline does not wait long to know it. */
const OFFLINE_PATIENCE_SECONDS = 5;

/** Listens until a signal comes, and answers what runs by then. */
export async function run(options: ServeOptions, context: Context): Promise<void> {
  const { settings, allowRemote } = options;
  if (settings.from.value.length === 0) throw nothingToServe();
  const at = await placeToListen(options, context.env);
  const report = createServeReport(context, options);
  const signals = awaitEndSignals();
  try {
    await withHandler(options, context, report.emit, async (handle) => {
      const onDone = (done: RequestDone) => report.emit(requestEvent(done));
      const server = await startWebServer({ at, allowRemote, handle, onDone });
      await report.listening(server.address, settings['trusted-keys'].value);
      await signals.first;
      report.draining();
      await server.drain();
    });
    report.ended();
  } finally {
    signals.release();
  }
}

/** Opens the caches and threads of a server, and lets them go when its work is done. */
async function withHandler(
  { settings, offlineOk, priority, delta }: ServeOptions,
  context: Context,
  emit: Emit<ServeEvent>,
  work: (handle: Handler) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const patience = settings['retry-seconds'];
  const isBrief = offlineOk && patience.value === undefined;
  const retrySeconds = isBrief ? { ...patience, value: OFFLINE_PATIENCE_SECONDS } : patience;
  const use = { context, options: { settings: { 'retry-seconds': retrySeconds } }, emit };
  const caches = openCaches(settings.from.value, use, stop.signal);
  const pool = createPool(settings.jobs.value);
  try {
    const handle = createCacheServer({
      caches: caches.map(({ objects }) => objects),
      read: createWholeNarReader(pool),
      shortcut: delta ? createNarShortcut(localDelta(context), { pool, signal: stop.signal }) : undefined,
      keys: settings['trusted-keys'].value,
      ...{ offlineOk, priority, emit },
    });
    await work(handle);
  } finally {
    stop.abort();
    await closeCaches(caches);
    await pool.close();
  }
}

function requestEvent({ failure, ...done }: RequestDone): ServeEvent {
  if (failure === undefined) return { type: 'request', ...done };
  return { type: 'request', ...done, failure: failure instanceof Error ? failure.message : String(failure) };
}

function nothingToServe(): CarportError {
  return new CarportError('E_USAGE', 'it is not said which caches to serve', {
    hint: 'give `--from https://host`, as often as there are caches, or set CARPORT_FROM',
  });
}
