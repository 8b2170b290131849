/** `hook --drain`: pushes what is in the queue, until it is empty. */

import { setTimeout as pause } from 'node:timers/promises';
import { CarportError } from '../../lib/errors.js';
import { openOwnForReading, openStoreForReading } from '../../lib/store/open.js';
import type { Store } from '../../lib/store/store.js';
import { type Context, note } from '../cli/context.js';
import { interruptible } from '../cli/interrupt.js';
import { isWithoutKey, loadPushKeys } from '../push/keys.js';
import { preparePush } from '../push/prepare.js';
import { asPushOptions } from './as-push-options.js';
import { leaveDrain, takeDrain } from './drain-lock.js';
import type { HookOptions } from './hook-command.js';
import { likelyStoreDirs } from './likely-store.js';
import { createPusher, isOfTheCache, type Pusher } from './pusher.js';
import { leftStarts, type Queue, queueOf } from './queue.js';
import { createRegistrations, newSince, snapshotOf } from './registered.js';
import { sumUp } from './summary.js';
import { takeUp } from './taken-up.js';

/** So long an empty queue is watched before the process ends: builds come one after another. */
const LINGER_MS = 3000;
const LOOK_MS = 300;

/** Pushes what is in the queue. Throws what kept it from that; what could not be pushed stays. */
export async function drain(given: HookOptions, context: Context): Promise<void> {
  const keys = await loadPushKeys(given, context);
  if (isWithoutKey(keys, given, context)) return;
  const queue = queueOf(given, context.env);
  if ((await queue.list()).length === 0 && (await leftStarts(queue)).length === 0)
    return note(context, given, 'the queue is empty');
  const options = asPushOptions(given);
  const selection = given.settings.store.value;
  const likely = likelyStoreDirs(selection, context.env);
  const prepared = await preparePush(options, context, keys);
  const tried = new Set<string>();
  let failure: unknown;
  do {
    if (!(await takeDrain(queue.directory))) return note(context, given, 'another process drains the queue');
    const stop = new AbortController();
    try {
      await queue.tidy();
      const store = await openStoreForReading(selection, context.env);
      await queueSinceKilled(queue, store, given.sources);
      const own = openOwnForReading(selection, context.env);
      const pusher = createPusher({ prepared, store, own, queue, options, context, signal: stop.signal });
      const unknown = await interruptible(
        () => stop.abort(),
        () => pushAll({ queue, store, likely, pusher, tried, signal: stop.signal }),
      ).finally(() => pusher.close());
      const wasStopped = stop.signal.aborted;
      failure = (await sumUp({ pusher }, { options: given, context, wasStopped })) ?? failure;
      if (unknown.length > 0) failure ??= unknownPaths(unknown, store);
    } finally {
      await leaveDrain(queue.directory);
    }
    // Who added something just before has seen that this process was still there.
  } while (!isOfTheCache(failure) && (await queue.list()).some((name) => !tried.has(name)));
  if (failure !== undefined) throw failure;
}

/** Puts into the queue what came since a `watch` began that was killed. */
async function queueSinceKilled(queue: Queue, store: Store, withSources: boolean): Promise<void> {
  const starts = await leftStarts(queue);
  if (starts.length === 0) return;
  const registrations = createRegistrations({ store, before: await snapshotOf(store.realStoreDirs), withSources });
  registrations.forget(await newSince(starts));
  await queue.add((await registrations.look(true)).map(({ path }) => path));
  for (const start of starts) await start.forget();
}

function unknownPaths(paths: readonly string[], store: Store): CarportError {
  const more = paths.length > 1 ? ` and ${paths.length - 1} more` : '';
  return new CarportError(
    'E_NOT_FOUND',
    `\`${paths[0]}\`${more} cannot be pushed: ${store.description} does not know it`,
    {
      hint: 'it stays in the queue; check that `nix` is on PATH, and that `nix path-info` knows it',
    },
  );
}

interface Draining {
  readonly queue: Queue;
  readonly store: Store;
  /** Where paths of the store may be on disk. */
  readonly likely: readonly string[];
  readonly pusher: Pusher;
  /** Entries that were tried and are still in the queue: once more would go wrong in the same way. */
  readonly tried: Set<string>;
  readonly signal: AbortSignal;
}

/** Pushes until nothing new has come for a while. Gives the entries of which the store does not know. */
async function pushAll({ queue, store, likely, pusher, tried, signal }: Draining): Promise<readonly string[]> {
  const unknown: string[] = [];
  let emptySince = performance.now();
  while (!signal.aborted && performance.now() - emptySince < LINGER_MS) {
    const names = (await queue.list()).filter((name) => !tried.has(name));
    if (names.length === 0) {
      await pause(LOOK_MS);
      continue;
    }
    const some = await takeUp(names, store, likely);
    unknown.push(...some.unknown);
    // On disk first, and only then may the derivations go that stood for them.
    await pusher.add(some.valid);
    await queue.remove(some.gone);
    await pusher.push();
    const left = new Set(await queue.list());
    for (const name of names) if (left.has(name)) tried.add(name);
    // The next build, or the next boot, tries once more.
    if (isOfTheCache(pusher.lastError())) return unknown;
    emptySince = performance.now();
  }
  if (signal.aborted) throw new CarportError('E_INTERRUPTED', 'it was stopped; what is left stays in the queue');
  return unknown;
}
