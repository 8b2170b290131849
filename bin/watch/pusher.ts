/** Pushes paths as they come, some at a time, and remembers what is still to do. A cache that is away stops nothing. */

import type { OpenCache } from '../../cache/open.js';
import type { PushEvent } from '../../cache/push/events.js';
import { hasCode } from '../../lib/errors.js';
import type { PathGraph } from '../../lib/nix/closure.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { runtimeClosure } from '../../lib/store/closure.js';
import type { OwnStore } from '../../lib/store/own/own-store.js';
import type { Store } from '../../lib/store/store.js';
import { walkReferences } from '../../lib/store/walk-references.js';
import type { WarningEvent } from '../../lib/work.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { type Context, note } from '../cli/context.js';
import { warnPeople } from '../cli/warnings.js';
import { closeCaches, openCaches } from '../cli/with-caches.js';
import { createPool } from '../cli/with-pool.js';
import type { PushOptions } from '../push/options.js';
import type { PreparedPush } from '../push/prepare.js';
import { pushInto } from '../push/request.js';
import type { Queue } from './queue.js';

/** What was done. */
export interface Tally {
  readonly pushed: number;
  readonly present: number;
  readonly skipped: number;
  /** Bytes of what was pushed, and as they were sent. */
  readonly narSize: number;
  readonly fileSize: number;
}

export interface Pusher {
  /** Takes paths that are valid in the store, on disk first. */
  add(infos: readonly PathInfo[]): Promise<void>;
  /** Pushes what is waiting, as far as it can. Never throws: `lastError` tells what went wrong. */
  push(): Promise<void>;
  /** What is still to be pushed. */
  waiting(): readonly string[];
  lastError(): unknown;
  /** Whether the last push ended since the cache did not take anything. */
  isAway(): boolean;
  tally(): Tally;
  /** Ends requests and threads. */
  close(): Promise<void>;
}

export interface PusherRequest {
  readonly prepared: PreparedPush;
  readonly store: Store;
  readonly own: OwnStore | undefined;
  readonly queue: Queue;
  readonly options: PushOptions;
  readonly context: Context;
  /** Stops the pushes. */
  readonly signal: AbortSignal;
}

/** So many paths are pushed together: a failure costs no more, and the closure of all is held in memory. */
const BATCH = 500;

/** Makes a pusher. Threads are started, and the cache is opened, by the first push. */
export function createPusher(request: PusherRequest): Pusher {
  const { store, queue, signal } = request;
  const waiting = new Set<string>();
  const known = new Map<string, PathInfo>();
  const sender = createSender(request, withKnown(store, known));
  let lastError: unknown;

  const isDone = async (paths: readonly string[]): Promise<void> => {
    for (const path of paths) waiting.delete(path);
    await queue.remove(paths).catch(() => undefined);
  };
  /** What keeps one path from the cache is no reason for the others to stay away. */
  const pushEach = async (paths: readonly string[]): Promise<void> => {
    for (const path of paths) {
      if (signal.aborted) return;
      try {
        await sender.send([path]);
        await isDone([path]);
      } catch (error) {
        lastError = error;
        // With many paths it would be waited for the cache many times.
        if (isOfTheCache(error)) return;
        if (hasCode(error, 'E_NOT_FOUND') && (await isGone(store, path))) await isDone([path]);
      }
    }
  };

  return {
    async add(infos) {
      const fresh = infos.map(({ path }) => path).filter((path) => !waiting.has(path));
      for (const info of infos) known.set(info.path, info);
      for (const path of fresh) waiting.add(path);
      // Where nothing can be kept they are pushed all the same.
      await queue.add(fresh).catch((error: Error) => {
        sender.warn({ type: 'warning', message: `what waits to be pushed cannot be kept on disk: ${error.message}` });
      });
    },
    async push() {
      lastError = undefined;
      for (let all = [...waiting]; all.length > 0; all = all.slice(BATCH)) {
        if (signal.aborted) return;
        const some = all.slice(0, BATCH);
        try {
          await sender.send(some);
          await isDone(some);
        } catch (error) {
          lastError = error;
          if (isOfTheCache(error)) return;
          if (some.length > 1 || hasCode(error, 'E_NOT_FOUND')) await pushEach(some);
          if (isOfTheCache(lastError)) return;
        }
      }
    },
    waiting: () => [...waiting],
    lastError: () => lastError,
    isAway: () => isOfTheCache(lastError),
    tally: () => sender.tally,
    close: sender.close,
  };
}

/** Whether it was collected meanwhile: there is nothing to push any more. */
async function isGone(store: Store, path: string): Promise<boolean> {
  return (await store.queryInfos([path]).catch(() => undefined))?.size === 0;
}

/** Pushes closures of paths into the cache, and counts. */
function createSender({ prepared, own, options, context, signal }: PusherRequest, store: Store) {
  const tally = { pushed: 0, present: 0, skipped: 0, narSize: 0, fileSize: 0 };
  const warned = new Set<string>();
  /** What the push that is under way has brought into the cache. */
  const finished = new Set<string>();
  let opened: { readonly caches: readonly OpenCache[]; readonly pool: WorkerPool } | undefined;
  const warn = (event: WarningEvent) => {
    if (warned.has(event.message)) return;
    warned.add(event.message);
    warnPeople(context)(event);
  };
  const emit = (event: PushEvent) => {
    if (event.type === 'warning') warn(event);
    if (event.type === 'path-finished') finished.add(event.path);
    if (event.type === 'path-finished' && options.verbose) note(context, options, `carport: pushed ${event.path}`);
  };
  return {
    tally: tally as Tally,
    warn,
    async send(paths: readonly string[]): Promise<void> {
      opened ??= {
        caches: openCaches([prepared.to, ...(options.skipIn ?? [])], { context, options, emit }, signal),
        pool: createPool(prepared.jobs),
      };
      finished.clear();
      const closure = await runtimeClosure(store, paths);
      const run = { options, context, emit, skipsUpstream: options.skipUpstream };
      const done = await pushInto({ ...opened, signal }, prepared, { store, own, closure }, run);
      tally.pushed += done.transferred;
      tally.narSize += done.transferred > 0 ? done.narSize : 0;
      tally.fileSize += done.fileSize;
      tally.skipped = Math.max(tally.skipped, done.skipped);
      // Of the paths that were named: what they need is not counted.
      tally.present += paths.filter((path) => !finished.has(path)).length;
    },
    async close(): Promise<void> {
      if (opened === undefined) return;
      await Promise.all([closeCaches(opened.caches), opened.pool.close()]).catch(() => undefined);
    },
  };
}

/** A store that is not asked again for what is known: to ask Nix takes longer than to push something small. */
function withKnown(store: Store, known: Map<string, PathInfo>): Store {
  const queryInfos = async (paths: readonly string[]): Promise<PathGraph> => {
    const unknown = paths.filter((path) => !known.has(path));
    // One question for all that these refer to.
    if (unknown.length > 0) for (const [path, info] of await store.queryClosure(unknown)) known.set(path, info);
    return new Map(paths.flatMap((path) => (known.has(path) ? [[path, known.get(path)!] as const] : [])));
  };
  return { ...store, queryInfos, queryClosure: (paths) => walkReferences(paths, queryInfos) };
}

/** Whether all other paths would fail in the same way. */
export function isOfTheCache(error: unknown): boolean {
  return hasCode(error, 'E_UNAVAILABLE', 'E_CREDENTIALS', 'E_REMOTE', 'E_INTERRUPTED', 'E_USAGE', 'E_UNSUPPORTED');
}
