/** Fetches the paths of a plan, many at a time, and registers each after its references. */

import { createLimit, inDependencyOrder, inTurns, type Limit } from '../../lib/concurrency.js';
import { removeTree } from '../../lib/filesystem/temporary.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import { registeredInfo } from '../../lib/nix/registered.js';
import { createSmallNarUnpacker, createTreePlacer } from '../../lib/workers/small-nars.js';
import type { FoundPath } from '../find-path.js';
import type { Fetched, FetchOptions } from './fetch.js';
import { isSmall, isSmallHere } from './nar-source.js';
import type { PullPlan } from './plan.js';
import { removeTaken, type TakenTree } from './take-ahead.js';
import type { PathReceiver } from './target.js';
import { createTurns, type Turns } from './turns.js';

/**
 * Small NARs that are on their way at a time. A server far away answers late, but many at once; and Garage stalls an
 * answer of 3 to 64 KiB for 44 ms on a connection that was used before.
 */
const SMALL_FETCHES_AT_ONCE = 128;

/** Small NARs of this machine that a thread has, or that wait for it. */
const SMALL_PER_THREAD = 128;

/** Bytes of a NAR that is begun before smaller ones. */
const LARGE = 8 * 1024 * 1024;

/** What a pull has received. */
export interface PullTotals {
  /** Compressed bytes that were read. */
  readonly fileSize: number;
}

/**
 * Fetches what the plan says. A path gets its name when its NAR has the hash that was signed, and is registered after
 * its references, so every registered path is whole and so is its closure. The first failure, or the abort of `signal`,
 * stops what has not begun, and is thrown when what has is done.
 */
export async function fetchAndRegister(
  { fetch }: Pick<PullPlan, 'fetch'>,
  sources: Omit<FetchOptions, 'unpackSmall' | 'mayBePlaced'>,
  signal: AbortSignal,
): Promise<PullTotals> {
  const { pool, receiver, emit } = sources;
  const placeTaken = createTakenPlacer(sources);
  const planned = new Map(fetch.map((each) => [each.info.path, each]));
  const registered = new Set<string>();
  const turns = createTurns(sources, signal);
  let fileSize = 0;
  for (const info of await placedAhead(fetch, sources)) {
    planned.delete(info.path);
    fileSize += info.fileSize!;
  }

  const options: FetchOptions = {
    ...sources,
    unpackSmall: createSmallNarUnpacker(pool),
    mayBePlaced: ({ path, references }) =>
      references.every((reference) => reference === path || !planned.has(reference) || registered.has(reference)),
  };
  const register = async (path: string, fetched: Fetched): Promise<void> => {
    try {
      if (!fetched.placed) await takeIn(receiver, fetched, placeTaken);
    } catch (error) {
      await discard(fetched);
      throw error;
    } finally {
      await turns.end(path);
    }
    registered.add(path);
    await fetched.remember?.();
    fileSize += fetched.fileSize;
    emit({ type: 'path-finished', path, narSize: fetched.info.narSize, fileSize: fetched.fileSize });
  };
  // What is still looked for is waited for by those that are not begun.
  const orStop = async <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: unknown) => {
      sources.delta.stop(error);
      turns.stop(error);
      throw error;
    });
  const prepare = (path: string): Promise<Fetched> => turns.fetch(planned.get(path)!, options);
  const limitFor = createLimits(sources, turns);
  const limitOrStop =
    (path: string): Limit =>
    (work) =>
      orStop(limitFor(planned.get(path)!)(work));
  const publish = (path: string, fetched: Fetched): Promise<void> => orStop(register(path, fetched));
  const done = inDependencyOrder(
    [...planned.keys()],
    (path) => planned.get(path)!.info.references,
    { prepare, publish, discard: (_, fetched) => discard(fetched) },
    { prepare: limitOrStop, prepareFirst: largestFirst([...planned.values()]), signal },
  );
  await done.finally(turns.endAll);
  return { fileSize };
}

/**
 * How many paths are made at a time. Who waits to hear what is here of a path, or for who makes it, is in nobody's way. Of those that one
 * process makes at a time no more are begun than there are threads: others may want one that would only wait for a thread.
 */
function createLimits({ pool, delta }: Pick<FetchOptions, 'pool' | 'delta'>, turns: Turns): (path: FoundPath) => Limit {
  const limit = createLimit(pool.capacity + 2);
  const batches = createLimit(pool.size * SMALL_PER_THREAD);
  const ahead = createLimit(SMALL_FETCHES_AT_ONCE);
  const limitOf = (path: FoundPath) => (isSmall(path) ? ahead : isSmallHere(path) ? batches : limit);
  const isMade = (path: FoundPath) => delta.of(path).then(Boolean, () => false);
  const inTurn = createLimit(pool.size);
  return (path) => async (work) => {
    const usual = (await isMade(path)) ? limit : limitOf(path);
    if (!turns.has(path)) return usual(work);
    for (;;) {
      const done = await inTurn(async () => ((await turns.take(path)) ? { result: await work() } : undefined));
      if (done) return done.result;
      if (!(await turns.wait(path))) return usual(work);
    }
  };
}

/** Tells of paths that threads have registered before the plan was made. Of thousands a promise for each would take a while. */
async function placedAhead(
  fetch: readonly FoundPath[],
  { ahead, emit }: Pick<FetchOptions, 'ahead' | 'emit'>,
): Promise<readonly NarInfo[]> {
  const placed: NarInfo[] = [];
  await inTurns(fetch, ({ info }) => {
    const { path, narSize, fileSize } = info;
    if (!ahead?.isPlaced(path)) return;
    placed.push(info);
    emit({ type: 'path-started', path, narSize });
    emit({ type: 'progress', bytes: narSize });
    emit({ type: 'path-finished', path, narSize, fileSize: fileSize! });
  });
  return placed;
}

/** While one thread is at a large path, the others do the rest, and then help. */
function largestFirst(fetch: readonly FoundPath[]): readonly string[] {
  const large = fetch.filter(({ info }) => info.narSize >= LARGE).sort((a, b) => b.info.narSize - a.info.narSize);
  return large.map(({ info }) => info.path);
}

/** Removes what was fetched and will not be registered. */
async function discard({ temporary, taken }: Fetched): Promise<void> {
  if (temporary !== undefined) await removeTree(temporary);
  if (taken?.state === 'unpacked') await removeTaken(taken.files);
}

type PlaceTaken = (taken: TakenTree) => Promise<void>;

async function takeIn(
  receiver: PathReceiver,
  { temporary, taken, info }: Fetched,
  placeTaken: PlaceTaken,
): Promise<void> {
  if (taken) await placeTaken(taken);
  else if (temporary === undefined) await receiver.register(info);
  else await receiver.place(temporary, info);
}

/** Places what was taken before the plan was made, many trees at a time. */
function createTakenPlacer({ pool, receiver }: Pick<FetchOptions, 'pool' | 'receiver'>): PlaceTaken {
  const placeByThread = createTreePlacer(pool);
  return async ({ info: accepted, state: before, files, isWritten }) => {
    const { tree, ...placement } = files;
    const state = before === 'unpacked' && isWritten ? await placeByThread({ tree, placement }) : before;
    if (state === 'placed') return;
    const info = registeredInfo(accepted);
    if (state === 'moved') return receiver.byThreads!.settle(info, placement);
    await removeTree(files.written);
    await receiver.place(tree, info);
  };
}
