/** The command `watch`: a command, and beside it pushes of what it builds. */

import { setTimeout as pause } from 'node:timers/promises';
import { CarportError, hasCode, isErrno } from '../../lib/errors.js';
import { cannotExecute } from '../../lib/namespace/failure.js';
import { findProgram } from '../../lib/process/find-program.js';
import { type Ended, runInForeground } from '../../lib/process/foreground.js';
import type { Context } from '../cli/context.js';
import { ExitWith, exitCodeOf } from '../cli/exit-code.js';
import { interruptible } from '../cli/interrupt.js';
import { isWithoutKey, loadPushKeys } from '../push/keys.js';
import { rawArguments, rawEnvironment } from '../run/raw-process.js';
import { descriptorOf } from '../settings/held-key.js';
import { requireCache } from '../settings/places.js';
import { asPushOptions } from './as-push-options.js';
import type { Beside, BesideRequest } from './beside.js';
import type { WatchOptions } from './command.js';
import { likelyStoreDirs } from './likely-store.js';
import { lowerPriority } from './priority.js';
import type { Pusher } from './pusher.js';
import { snapshotOf } from './registered.js';
import { type Outcome, sumUp } from './summary.js';

/** Between two looks at the store, in milliseconds: the longer a command runs, the more there is to push at once. */
const LOOK_MS = 500;
const LATER_LOOK_MS = 2000;
const LOOKS_A_RUN = 20;

/** So much longer than a look takes it is until the next: a look at a large store takes long. */
const LOOK_SHARE = 20;

/** What a look takes on a busy machine is mostly waiting: no more than this for it. */
const LONGEST_PAUSE_MS = 5000;

/** How long a cache is left alone that has not answered, in milliseconds. */
const AWAY_MS = 30_000;

/** Runs the command that comes after `--`, pushes beside it, and ends as that does. */
export async function run(given: WatchOptions, context: Context): Promise<never> {
  const command = await rawArguments(await commandOf(context));
  const env = await rawEnvironment(context.env);
  refuseStdin(given);
  const keys = await loadPushKeys(given, context);
  const start = () => runCommand(command, env);
  if (isWithoutKey(keys, { ...given, json: false }, context)) return end(await start(), 0);
  const selection = given.settings.store.value;
  // What options do not fit, or a program that is missing, is told before anything runs.
  const prepared = await (await import('../push/prepare.js')).preparePush(asPushOptions(given), context, keys);
  const before = await snapshotOf(likelyStoreDirs(selection, context.env));
  const running = start();
  // Whatever is done beside it has what the command leaves.
  const restorePriority = lowerPriority();
  const stop = new AbortController();
  const request = { given, prepared, context, before, signal: stop.signal };
  const pushing = pushWhile(request);
  const ended = await running.finally(() => {
    pushing.hurry();
    return restorePriority();
  });
  const wasStopped = ended.interrupted || ended.signal !== undefined;
  if (wasStopped) stop.abort();
  const outcome = await interruptible(
    () => stop.abort(),
    () => pushing.done,
  ).catch((error) => {
    if (hasCode(error, 'E_INTERRUPTED')) return pushing.now();
    throw error;
  });
  const failure = await sumUp(outcome, { options: given, context, wasStopped: stop.signal.aborted });
  return end(ended, given.strict && failure !== undefined ? codeOf(failure) : 0);
}

/** Throws `E_USAGE` for a key on stdin: the command has the same stdin, and could read a file there from its beginning. */
function refuseStdin({ settings }: WatchOptions): void {
  const sources = [...settings['secret-key-files'].value, ...requireCache(settings.to, 'to').secretKeyFiles];
  const inherited = sources.find((source) => typeof source === 'string' && (descriptorOf(source) ?? 3) < 3);
  if (inherited === undefined) return;
  throw new CarportError('E_USAGE', `the key cannot come from \`${inherited}\`: the command would have it, too`, {
    hint: 'give its file, the variable `CARPORT_SECRET_KEY`, or another descriptor: `--secret-key fd:3 … 3< cache.sec`',
  });
}

function codeOf(failure: unknown): number {
  return failure instanceof CarportError ? exitCodeOf(failure.code) : 1;
}

/** Ends as the command did, or with another code where that was none. */
function end({ exitCode, interrupted }: Ended, otherwise: number): never {
  // A shell that waits for this process must see that the user wants no more.
  if (interrupted && exitCode === 130) process.kill(process.pid, 'SIGINT');
  throw new ExitWith(exitCode === 0 ? otherwise : exitCode);
}

async function commandOf({ operands = [], env }: Context): Promise<readonly string[]> {
  const [command] = operands;
  if (command === undefined) {
    throw new CarportError('E_USAGE', 'there is no command to run', { hint: 'try `carport watch -- nix build`' });
  }
  if (!command.includes('/') && (await findProgram(command, env.PATH)) === undefined) {
    throw new CarportError('E_NOT_FOUND', `the command \`${command}\` is not on PATH`, {
      hint: "check its name, and PATH; a shell's own commands need a shell: `carport watch -- sh -c '…'`",
    });
  }
  return operands;
}

async function runCommand([program, ...args]: readonly string[], env: NodeJS.ProcessEnv): Promise<Ended> {
  try {
    return await runInForeground({ program: program!, arguments: args, env });
  } catch (error) {
    throw isErrno(error, 'ENOENT', 'EACCES', 'ENOEXEC', 'ENOTDIR') ? cannotExecute(program!, error) : error;
  }
}

interface Pushing {
  /** When all is pushed that can be, after `hurry`. */
  readonly done: Promise<Outcome>;
  now(): Outcome;
  /** The command has ended: nothing more will come. */
  hurry(): void;
}

/** Pushes what comes while the command runs. It never fails: what went wrong is in the pusher. */
function pushWhile(request: BesideRequest): Pushing {
  const over = new AbortController();
  let pusher: Pusher | undefined;
  const work = async (): Promise<Outcome> => {
    try {
      // Loaded only now: until the command runs nothing else is to take time.
      const { beginStart, openBeside } = await import('./beside.js');
      const start = await beginStart(request);
      const beside = await untilItWorks(() => openBeside(request, start), over.signal, request.signal);
      pusher = beside.pusher;
      const error = await pushAsItComes(beside, over.signal, request.signal);
      if (error === undefined) await start.forget();
      await pusher.close();
      return { pusher, error };
    } catch (error) {
      return { pusher, error };
    }
  };
  return { done: work(), now: () => ({ pusher }), hurry: () => over.abort() };
}

/** So often the store is asked once more when the command has ended. */
const LAST_TRIES = 4;
const RETRY_MS = 1000;

/** Tries while the command runs, and then some times more: a daemon may be stopped, or busy. */
async function untilItWorks<T>(work: () => Promise<T>, over: AbortSignal, stop: AbortSignal): Promise<T> {
  for (let tries = 1; ; ) {
    try {
      return await work();
    } catch (error) {
      const isLast = over.aborted;
      if (stop.aborted || (isLast && tries++ >= LAST_TRIES)) throw error;
      await pause(isLast ? RETRY_MS : AWAY_MS, undefined, { signal: isLast ? stop : over }).catch(() => undefined);
    }
  }
}

/** Gives what kept it from seeing what came last. */
async function pushAsItComes(
  { registrations, pusher }: Beside,
  over: AbortSignal,
  stop: AbortSignal,
): Promise<unknown> {
  let pushing: Promise<void> | undefined;
  let restUntil = 0;
  let lookedMs = 0;
  const start = performance.now();
  const look = async () => {
    const lookStart = performance.now();
    // A Nix that is busy answers the next time.
    await registrations.look().then(pusher.add, () => undefined);
    lookedMs = performance.now() - lookStart;
  };
  while (!over.aborted) {
    await look();
    if (!pushing && pusher.waiting().length > 0 && performance.now() >= restUntil) {
      pushing = pusher.push().then(() => {
        if (pusher.lastError() !== undefined) restUntil = performance.now() + AWAY_MS;
        pushing = undefined;
      });
    }
    const sinceStart = performance.now() - start;
    await pause(untilNextLook(sinceStart, lookedMs), undefined, { signal: over }).catch(() => undefined);
  }
  const wasPushing = pushing !== undefined;
  const failure = await untilItWorks(() => registrations.look(true), over, stop).then(pusher.add, (error) => error);
  await pushing;
  // Who has just waited for a cache that does not answer is not made to wait as long again.
  if (!(wasPushing && pusher.isAway()) && pusher.waiting().length > 0) await pusher.push();
  return failure;
}

function untilNextLook(sinceStartMs: number, lookedMs: number): number {
  const usual = Math.min(Math.max(LOOK_MS, sinceStartMs / LOOKS_A_RUN), LATER_LOOK_MS);
  return Math.max(usual, Math.min(LOOK_SHARE * lookedMs, LONGEST_PAUSE_MS));
}
