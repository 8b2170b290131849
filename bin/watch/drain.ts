/** `hook --drain`: pushes what is in the queue, until it is empty. */

import { setTimeout as pause } from 'node:timers/promises';
import { CarportError } from '../../lib/errors.js';
import { isDerivationPath } from '../../lib/nix/derivation/derivation.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { openOwnForReading, openStoreForReading } from '../../lib/store/open.js';
import { readDerivation } from '../../lib/store/realisations.js';
import type { Store } from '../../lib/store/store.js';
import { type Context, note } from '../cli/context.js';
import { interruptible } from '../cli/interrupt.js';
import { isWithoutKey, loadPushKeys } from '../push/keys.js';
import { preparePush } from '../push/request.js';
import { asPushOptions } from './as-push-options.js';
import { leaveDrain, takeDrain } from './drain-lock.js';
import { queueOf } from './hook.js';
import type { HookOptions } from './hook-command.js';
import { createPusher, type Pusher } from './pusher.js';
import type { Queue } from './queue.js';
import { sumUp } from './summary.js';

/** So long an empty queue is watched before the process ends: builds come one after another. */
const LINGER_MS = 3000;
const LOOK_MS = 300;

/** Pushes what is in the queue. Throws what kept it from that; what could not be pushed stays. */
export async function drain(given: HookOptions, context: Context): Promise<void> {
  const keys = await loadPushKeys(given, context);
  if (isWithoutKey(keys, given, context)) return;
  const queue = queueOf(given, context);
  await queue.add([]);
  if ((await queue.list()).length === 0) return note(context, given, 'the queue is empty');
  if (!(await takeDrain(queue.directory))) return note(context, given, 'another process drains the queue');
  const stop = new AbortController();
  const options = asPushOptions(given);
  const selection = given.settings.store.value;
  try {
    const store = await openStoreForReading(selection, context.env);
    const own = openOwnForReading(selection, context.env);
    const prepared = await preparePush(options, context, keys);
    const pusher = createPusher({ prepared, store, own, queue, options, context, signal: stop.signal });
    await interruptible(
      () => stop.abort(),
      () => pushAll({ queue, store, pusher, signal: stop.signal }),
    ).finally(() => pusher.close());
    const failure = await sumUp({ pusher }, { options: given, context, wasStopped: stop.signal.aborted });
    if (failure !== undefined) throw failure;
  } finally {
    await leaveDrain(queue.directory);
  }
}

interface Draining {
  readonly queue: Queue;
  readonly store: Store;
  readonly pusher: Pusher;
  readonly signal: AbortSignal;
}

async function pushAll({ queue, store, pusher, signal }: Draining): Promise<void> {
  let emptySince = performance.now();
  while (!signal.aborted && performance.now() - emptySince < LINGER_MS) {
    const names = await queue.list();
    if (names.length === 0) {
      await pause(LOOK_MS);
      continue;
    }
    await takeUp(names, { queue, store, pusher });
    await pusher.push();
    // What went wrong would go wrong again: the next build, or the next boot, tries once more.
    if (pusher.lastError() !== undefined) return;
    emptySince = performance.now();
  }
  if (signal.aborted) throw new CarportError('E_INTERRUPTED', 'it was stopped; what is left stays in the queue');
}

/** Gives the pusher what is valid, and forgets the rest: it was collected as garbage. */
async function takeUp(names: readonly string[], { queue, store, pusher }: Omit<Draining, 'signal'>): Promise<void> {
  const paths = names.map((name) => `${store.storeDir}/${name}`);
  const derivations = paths.filter(isDerivationPath);
  const outputs = await Promise.all(derivations.map((path) => outputsOf(store, path)));
  const infos = await store.queryInfos([...paths.filter((path) => !isDerivationPath(path)), ...outputs.flat()]);
  const valid: readonly PathInfo[] = [...infos.values()];
  // On disk first, and only then may the derivations go that stood for them.
  await pusher.add(valid);
  await queue.remove(paths.filter((path) => !infos.has(path)));
}

/** The outputs that a derivation names; of one that is gone there are none. */
async function outputsOf(store: Store, path: string): Promise<readonly string[]> {
  const derivation = await readDerivation(store, { path }).catch(() => undefined);
  return [...(derivation?.outputs.values() ?? [])].flatMap(({ path: output }) => (output === '' ? [] : [output]));
}
