/** Work that goes on at once: how much of it, in which order, and how it ends. */

import { setImmediate } from 'node:timers/promises';
import pLimit from 'p-limit';

/** Does work as soon as less than so much is under way, in the order of calls. */
export type Limit = <T>(work: () => Promise<T>) => Promise<T>;

/** Makes a limit for work that is called for at different places, or that calls for more. */
export function createLimit(atOnce: number): Limit {
  return pLimit(atOnce);
}

/** Waits until all work has ended, also when some of it fails; then fails as the first of the list that failed. */
export async function allDone<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}

/**
 * Does work for each item, so many at a time, and gives what came of it in the order of the items. After the first
 * failure, or once `signal` is aborted, no more is begun; what was begun has ended when this throws that failure, or the
 * signal's reason.
 */
export async function mapAtMost<T, R>(
  atOnce: number,
  items: Iterable<T>,
  work: (item: T, index: number) => Promise<R>,
  signal?: AbortSignal,
): Promise<readonly R[]> {
  const limit = createLimit(atOnce);
  const stopping = createStop(signal);
  const begun = [...items].map((item, index) => limit(() => stopping.unlessStopped(() => work(item, index))));
  await Promise.allSettled(begun);
  stopping.throwIfStopped();
  return Promise.all(begun);
}

/** What is done for each item of a graph, in two steps. */
export interface DependencyWork<T, P> {
  /** Does what needs no references: it may be done before theirs. */
  prepare(item: T): Promise<P>;
  /** Makes the item visible. All its references are visible by then. */
  publish(item: T, prepared: P): Promise<void>;
  /** Takes back what was prepared and will not be published, since something else has failed. */
  discard?(item: T, prepared: P): Promise<void>;
}

export interface DependencyLimits<T> {
  /** The limit for preparing an item; without one it is begun at once. */
  prepare?(item: T): Limit | undefined;
  /** The limit for publishing an item, whose turn comes when its references are visible. */
  publish?(item: T): Limit | undefined;
  /** Items that are prepared before the others, in this order. */
  readonly prepareFirst?: readonly T[];
  /** Stops, when it is aborted, as a failure does. */
  readonly signal?: AbortSignal;
}

/**
 * Prepares all items beside each other, and publishes each after its references. `order` has references before what
 * refers to them (if not, an `Error` is thrown before anything is begun); what is not in it is visible already. An item
 * may refer to itself. After the first failure nothing more is begun, what was prepared is discarded, and all has ended
 * when this throws that failure.
 */
export async function inDependencyOrder<T, P>(
  order: readonly T[],
  referencesOf: (item: T) => readonly T[],
  { prepare, publish, discard }: DependencyWork<T, P>,
  limits: DependencyLimits<T> = {},
): Promise<void> {
  requireOrder(order, referencesOf);
  const stopping = createStop(limits.signal);
  const begin = (item: T): Promise<P> => {
    const step = () => stopping.unlessStopped(() => prepare(item));
    return stopping.orStop(() => (limits.prepare?.(item) ?? unlimited)(step));
  };
  const finish = async (item: T, references: readonly (Promise<void> | undefined)[]): Promise<void> => {
    const done = await prepared.get(item)!;
    await Promise.allSettled(references);
    await (limits.publish?.(item) ?? unlimited)(async () => {
      if (stopping.isStopped()) await discard?.(item, done);
      await stopping.unlessStopped(() => publish(item, done));
    });
  };
  const first = limits.prepareFirst ?? [];
  const prepared = new Map([...new Set([...first, ...order])].map((item) => [item, begin(item)]));
  const published = new Map<T, Promise<void>>();
  for (const item of order) {
    const references = referencesOf(item).map((reference) => published.get(reference));
    published.set(item, finish(item, references));
  }
  await Promise.allSettled([...prepared.values(), ...published.values()]);
  stopping.throwIfStopped();
}

const unlimited: Limit = (work) => work();

function requireOrder<T>(order: readonly T[], referencesOf: (item: T) => readonly T[]): void {
  const later = new Set(order);
  for (const item of order) {
    later.delete(item);
    const reference = referencesOf(item).find((each) => later.has(each));
    if (reference !== undefined) throw new Error(`\`${item}\` comes before \`${reference}\`, which it refers to`);
  }
}

/** What keeps work from beginning: the first failure of other work, or a signal. */
function createStop(signal?: AbortSignal) {
  const failure = new AbortController();
  const throwIfStopped = (): void => {
    failure.signal.throwIfAborted();
    signal?.throwIfAborted();
  };
  /** Does work whose failure stops what comes after. */
  const orStop = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      failure.abort(error);
      throw error;
    }
  };
  return {
    throwIfStopped,
    orStop,
    isStopped: (): boolean => failure.signal.aborted || signal?.aborted === true,
    /** As `orStop`, unless something has failed before. */
    async unlessStopped<T>(work: () => Promise<T>): Promise<T> {
      throwIfStopped();
      return orStop(work);
    },
  };
}

/** Items that are looked at before others have their turn: some milliseconds for what takes some microseconds each. */
const ITEMS_A_TURN = 1000;

/** Does short work for each of many items, and lets others have their turn now and then. */
export async function inTurns<T>(items: Iterable<T>, work: (item: T) => void): Promise<void> {
  let count = 0;
  for (const item of items) {
    work(item);
    if (++count % ITEMS_A_TURN === 0) await setImmediate();
  }
}
