/** What a push does so that no garbage collection takes away what it relies on; `docs/garbage-collection.md` numbers the steps. */

import { mapAtMost } from '../../lib/concurrency.js';
import { hasCode } from '../../lib/errors.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import { decorateStore, isChange } from '../../lib/object-store/decorators/operations.js';
import {
  asWritable,
  isListable,
  listObjects,
  type ObjectStore,
  type WriteStore,
} from '../../lib/object-store/object-store.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { rewriteNarInfo } from '../binary-cache.js';
import { mayNotList } from '../existing-objects.js';
import { LEASES, narInfoKey } from '../layout.js';
import { type Clock, elapsedSince, type Moment, momentOf, SYSTEM_CLOCK } from './clock.js';
import {
  hashPartsIn,
  type Identity,
  LEASE_PLACE,
  type Lease,
  OWN_IDENTITY,
  readSweeps,
  type Sweep,
} from './documents.js';
import { type Hold, type HoldTimes, hold, isRefusal, timesFor } from './hold.js';

/** What a push works with while it has a lease. */
export interface Leased {
  /** The store, which refuses changes when the lease may be void. */
  readonly objects: ObjectStore;
  /** Until when others may make changes for this push, by its clock; without a lease, for ever. Throws as a change would. */
  readonly until?: (() => ChangesUntil) | undefined;
  /** Has the narinfos of roots be young, as far as this push has not just written them: they keep what they refer to. */
  refresh(paths: readonly string[]): Promise<void>;
  /** Whether another has a lease, too, or had one and is gone. */
  isShared(): Promise<boolean>;
}

/** A time by clocks that all threads have: `process.hrtime`, and that of day. */
export interface ChangesUntil {
  readonly monotonic: bigint;
  readonly wall: number;
}

/** How a lease is held; models have other times, and clocks of their own. */
export interface Leasing {
  readonly clock: Clock;
  readonly times: HoldTimes;
  readonly identity: Identity;
  /** Sweeps are looked for again after so many milliseconds. */
  readonly poll: number;
  /** Whether a sweep is in the way of who needs these paths. */
  readonly mustWaitFor: (sweep: Sweep, hashParts: ReadonlySet<string>) => boolean;
}

/** Which paths are needed, and what is told meanwhile. */
export interface LeaseRequest {
  /** The whole closure; the roots alone for who adds nothing below them: a collection spares what they refer to. */
  readonly paths: Iterable<string>;
  readonly emit: Emit<WarningEvent>;
  readonly signal: AbortSignal;
}

const SECOND = 1000;
const MINUTE = 60 * SECOND;

/** A server that is gone for a minute, the patience of requests, costs a push nothing. */
const LEASE_TIMES: HoldTimes = { lifetime: 10 * MINUTE, trusted: 5 * MINUTE, renewal: 30 * SECOND };

/** Narinfos that this push has written within so many milliseconds are young enough. */
const JUST_WRITTEN = 5 * SECOND;

/** A push begins anew when its lease has lapsed, but not for ever. */
const MOST_TRIES = 3;

/** Narinfos that are written again at a time. */
const AT_ONCE = 64;

/** A sweep that removes NARs is in everybody's way: any of them might be the one that is relied on. */
function mustWaitFor(sweep: Sweep, hashParts: ReadonlySet<string>): boolean {
  if (sweep.removesNars) return true;
  for (const hashPart of hashPartsIn(sweep)) if (hashParts.has(hashPart)) return true;
  return false;
}

/** As it ships. */
export const LEASING: Leasing = {
  clock: SYSTEM_CLOCK,
  times: LEASE_TIMES,
  identity: OWN_IDENTITY,
  poll: SECOND,
  mustWaitFor,
};

/** As it ships, for requests that are tried again for so many milliseconds. */
export function leasingFor(patience: number): Leasing {
  return { ...LEASING, times: timesFor(LEASE_TIMES, patience) };
}

/**
 * Does work that relies on what a cache has of a closure, and adds to it. (1) The lease is written; (2) then it waits for
 * sweeps that are in the way; (3) only then the work looks. A store without listing has no garbage collection of ours. Where
 * a server takes no lease, the work is done without one, and that is told.
 */
export async function withLease<T>(
  objects: ObjectStore,
  request: LeaseRequest,
  work: (leased: Leased) => Promise<T>,
  leasing: Leasing = LEASING,
): Promise<T> {
  if (!isListable(objects)) return work(withoutLease(objects));
  const store = asWritable(objects, 'where no lease can be written');
  const hashParts = new Set([...request.paths].map(hashPartOf));
  for (let tries = 1; ; tries++) {
    const held = await beginLease(store, hashParts, leasing).catch((error) => {
      if (isRefusal(error)) return error;
      throw error;
    });
    if (held instanceof Error) {
      const result = await work(withoutLease(objects));
      const message = `\`${objects.url}\` takes no lease, so that a garbage collection does not see this push (${held.message})`;
      request.emit({ type: 'warning', message });
      return result;
    }
    try {
      return await withHold(store, held, { hashParts, leasing, request }, work);
    } catch (error) {
      if (!held.isLapse(error) || tries === MOST_TRIES) throw error;
      request.emit({ type: 'warning', message: 'the lease of this push has lapsed: it begins anew' });
    }
  }
}

/** For work that nobody else needs to know of, or that can have no lease. */
export function withoutLease(objects: ObjectStore): Leased {
  return { objects, refresh: async () => {}, isShared: async () => false };
}

async function beginLease(store: WriteStore, hashParts: ReadonlySet<string>, leasing: Leasing): Promise<Hold<Lease>> {
  const { clock, times, identity } = leasing;
  const first: Lease = {
    id: identity.newId(),
    seconds: times.lifetime / SECOND,
    process: await identity.process(),
    hashParts: [...hashParts].sort().join(''),
    waitsFor: [],
  };
  return hold(store, LEASE_PLACE, first, { clock, times });
}

interface HeldWork {
  readonly hashParts: ReadonlySet<string>;
  readonly leasing: Leasing;
  readonly request: LeaseRequest;
}

async function withHold<T>(
  store: WriteStore,
  held: Hold<Lease>,
  { hashParts, leasing, request }: HeldWork,
  work: (leased: Leased) => Promise<T>,
): Promise<T> {
  try {
    await waitForSweeps(store, held, hashParts, leasing, request);
    const result = await work(guarded(store, held, leasing.clock));
    // What was done is kept from now on by what is young: that it is was made sure while the lease counted.
    held.check();
    return result;
  } catch (error) {
    // When its lease has lapsed, what a push relies on may be gone, and that is why.
    if (hasCode(error, 'E_INTEGRITY', 'E_NOT_FOUND')) held.check();
    throw error;
  } finally {
    // It is void after a while in any case.
    await held.release().catch(() => undefined);
  }
}

/** Waits until no sweep is in the way, and says in the lease that it does: until then nothing is relied on. */
async function waitForSweeps(
  store: WriteStore,
  held: Hold<Lease>,
  hashParts: ReadonlySet<string>,
  { clock, poll, mustWaitFor }: Leasing,
  { emit, signal }: LeaseRequest,
): Promise<void> {
  for (let isTold = false; ; ) {
    const live = await readSweeps(store).then(
      (sweeps) => sweeps.live,
      (error) => {
        // Who may not list sees no garbage collection; one that begins later sees this lease.
        if (!mayNotList(error)) throw error;
        emit({
          type: 'warning',
          message: `\`${store.url}\` cannot be listed with this key, so that it is not seen whether a garbage collection is under way`,
        });
        return [];
      },
    );
    const inTheWay = live.filter((sweep) => mustWaitFor(sweep, hashParts)).map(({ id }) => id);
    held.check();
    if (inTheWay.length === 0) return;
    if (!isTold) emit({ type: 'warning', message: 'a garbage collection is under way: waiting until it has ended' });
    isTold = true;
    const { waitsFor, ...lease } = held.value();
    if (inTheWay.some((id) => !waitsFor.includes(id))) await held.update({ ...lease, waitsFor: inTheWay });
    await clock.sleep(poll, signal);
    signal.throwIfAborted();
  }
}

function guarded(store: WriteStore, held: Hold<Lease>, clock: Clock): Leased {
  const written = new Map<string, Moment>();
  const decorated = decorateStore(store, async (operation, run) => {
    if (!isChange(operation)) return run();
    held.check();
    if (operation.method === 'put') for (const key of operation.keys) written.set(key, momentOf(clock));
    return run();
  });
  const { placeOf } = store;
  // Threads put NARs there themselves; one without a narinfo harms nobody.
  const objects = placeOf ? { ...decorated, placeOf } : decorated;
  const isYoung = (key: string) => {
    const moment = written.get(key);
    return moment !== undefined && elapsedSince(clock, moment) < JUST_WRITTEN;
  };
  const refresh = async (paths: readonly string[]): Promise<void> => {
    const old = paths.map(hashPartOf).filter((hashPart) => !isYoung(narInfoKey(hashPart)));
    await mapAtMost(AT_ONCE, old, (hashPart) => rewriteNarInfo(objects, hashPart));
  };
  const until = (): ChangesUntil => {
    held.check();
    const { monotonic, wall } = held.until();
    const left = Math.floor(monotonic - clock.monotonic());
    return { monotonic: process.hrtime.bigint() + BigInt(left) * NANOSECONDS, wall };
  };
  const isShared = async (): Promise<boolean> => {
    const own = LEASE_PLACE.keyOf(held.value());
    for await (const { key } of listObjects(store, { prefix: LEASES })) if (key !== own) return true;
    return false;
  };
  return { objects, refresh, until, isShared };
}

/** In a millisecond. */
const NANOSECONDS = 1_000_000n;
