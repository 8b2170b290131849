/** What is needed to push beside a command: the store, what comes into it, and who pushes that. */

import { rm } from 'node:fs/promises';
import { allPathsOfNix } from '../../lib/store/nix/all-paths.js';
import { NIX, openOwnForReading, openStoreForReading } from '../../lib/store/open.js';
import type { Context } from '../cli/context.js';
import { warnPeople } from '../cli/warnings.js';
import type { PushBesideOptions } from '../push/options.js';
import type { PreparedPush } from '../push/prepare.js';
import { asPushOptions } from './as-push-options.js';
import { likelyStoreDirs } from './likely-store.js';
import { createPusher, type Pusher } from './pusher.js';
import { leftStarts, noteStart, queueOf, startNoteIn } from './queue.js';
import { createRegistrations, newSince, type Registrations, type Snapshot, snapshotOf } from './registered.js';
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
export async function openBeside(
  { given, prepared, context, before, signal }: BesideRequest,
  start: Start,
): Promise<Beside> {
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
  let invalid: readonly string[] = [];
  if (selection === undefined || selection === NIX) {
    const theirs = own ? new Set((await own.queryHashParts()).values()) : new Set<string>();
    invalid = await invalidOf(known, theirs, env);
  }
  registrations.forget([...invalid, ...start.fresh]);
  if (others.length > 0 || invalid.length > 0) {
    const left = new Set(invalid);
    await start.note([...likely, ...others], new Set([...known].filter((name) => !left.has(name))));
  }
  const queue = queueOf(given, env);
  const pusher = createPusher({ prepared, options, context, signal, store, own, queue });
  const { valid, gone } = await takeUp(await queue.list(), store, likely);
  await pusher.add(valid);
  await queue.remove(gone);
  return { registrations, pusher };
}

/** Where a run begins: on disk until it ends well, for the next one. */
export interface Start {
  /** What came since runs that were killed. */
  readonly fresh: Snapshot;
  /** Notes what was there, when more is known of it. */
  note(directories: readonly string[], names: Snapshot): Promise<void>;
  /** All that came is in the queue or the cache. */
  forget(): Promise<void>;
}

/** Goes on where runs began that were killed, and notes on disk where this one begins. */
export async function beginStart({ given, context, before }: BesideRequest): Promise<Start> {
  const queue = queueOf(given, context.env);
  const starts = await leftStarts(queue);
  const fresh = await newSince(starts);
  const file = await startNoteIn(queue);
  const note = async (directories: readonly string[], names: Snapshot) => {
    const noted = { directories, names: new Set([...names].filter((name) => !fresh.has(name))) };
    await noteStart(file, noted).then(
      // What they say is in the new note.
      () => Promise.all(starts.map((start) => start.forget())),
      ({ message }: Error) =>
        warnPeople(context)({ type: 'warning', message: `where this run began cannot be kept on disk: ${message}` }),
    );
  };
  const likely = likelyStoreDirs(given.settings.store.value, context.env);
  const others = starts.flatMap(({ directories }) => directories).filter((directory) => !likely.includes(directory));
  await note([...new Set([...likely, ...others])], new Set([...before, ...(await snapshotOf(others))]));
  return { fresh, note, forget: () => rm(file, { force: true }) };
}

/** What a build that was killed has left is there, and becomes valid when it is built again. */
async function invalidOf(
  known: Snapshot,
  ofOwnStore: ReadonlySet<string>,
  env: NodeJS.ProcessEnv,
): Promise<readonly string[]> {
  const all = await allPathsOfNix(env).catch(() => undefined);
  if (all === undefined) return [];
  const valid = new Set([...all, ...ofOwnStore].map((path) => path.slice(path.lastIndexOf('/') + 1)));
  return [...known].filter((name) => !valid.has(name));
}
