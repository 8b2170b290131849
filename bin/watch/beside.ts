/** What is needed to push beside a command: the store, what comes into it, and who pushes that. */

import { allPathsOfNix } from '../../lib/store/nix/all-paths.js';
import { NIX, openOwnForReading, openStoreForReading } from '../../lib/store/open.js';
import type { Context } from '../cli/context.js';
import type { PushBesideOptions } from '../push/options.js';
import type { PreparedPush } from '../push/request.js';
import { asPushOptions } from './as-push-options.js';
import { likelyStoreDirs } from './likely-store.js';
import { createPusher, type Pusher } from './pusher.js';
import { openQueue } from './queue.js';
import { createRegistrations, type Registrations, type Snapshot, snapshotOf } from './registered.js';
import { takeUp } from './taken-up.js';

export interface BesideRequest {
  readonly given: PushBesideOptions;
  readonly prepared: PreparedPush;
  readonly context: Context;
  /** What was there before the command was started, in the likely directories. */
  readonly before: Snapshot;
  /** Stops the pushes. */
  readonly signal: AbortSignal;
}

export interface Beside {
  readonly registrations: Registrations;
  readonly pusher: Pusher;
}

/** Opens the store and the queue. What a run before has left is taken up. */
export async function openBeside({ given, prepared, context, before, signal }: BesideRequest): Promise<Beside> {
  const options = asPushOptions(given);
  const { env } = context;
  const selection = given.settings.store.value;
  const store = await openStoreForReading(selection, env);
  const likely = likelyStoreDirs(selection, env);
  const others = store.realStoreDirs.filter((directory) => !likely.includes(directory));
  // Nix has its store elsewhere: what came in the meantime is missed.
  const known = others.length === 0 ? before : new Set([...before, ...(await snapshotOf(others))]);
  const registrations = createRegistrations({ store, before: known, withSources: given.sources });
  const own = openOwnForReading(selection, env);
  if (selection === undefined || selection === NIX) {
    const theirs = own ? new Set((await own.queryHashParts()).values()) : new Set<string>();
    await forgetInvalid(registrations, known, theirs, env);
  }
  const queue = openQueue(env, { to: options.settings.to.texts.at(-1) ?? '', store: selection });
  const pusher = createPusher({ prepared, options, context, signal, store, own, queue });
  const { valid, gone } = await takeUp(await queue.list(), store, likely);
  await pusher.add(valid);
  await queue.remove(gone);
  return { registrations, pusher };
}

/** What a build that was killed has left is there, and becomes valid when it is built again. */
async function forgetInvalid(
  registrations: Registrations,
  known: Snapshot,
  ofOwnStore: ReadonlySet<string>,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const all = await allPathsOfNix(env).catch(() => undefined);
  if (all === undefined) return;
  const valid = new Set([...all, ...ofOwnStore].map((path) => path.slice(path.lastIndexOf('/') + 1)));
  registrations.forget([...known].filter((name) => !valid.has(name)));
}
