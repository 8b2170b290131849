/** The caches behind a server: which is asked first, and which is left alone for a while since it does not answer. */

import { CarportError } from '../../lib/errors.js';
import type { CacheInfo } from '../../lib/nix/cache-info.js';
import { DEFAULT_STORE_DIR } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { checkStoreDir, requireCacheInfo } from '../binary-cache.js';

export interface UpstreamsOptions {
  /** Whether a cache that does not answer is one that has nothing. */
  readonly offlineOk: boolean;
  readonly emit: Emit<WarningEvent>;
  /** Milliseconds, by a clock that does not go back. */
  now(): number;
}

export interface Upstreams {
  /** What the server says of itself: the store dir of its caches, and the best of their priorities. */
  describe(): Promise<CacheInfo>;
  /**
   * What the first cache has that has any, as `look` tells; a cache that fails is passed over. Throws why when all of them
   * fail, but where they may be away.
   */
  firstOf<T>(look: (objects: ObjectStore) => Promise<T | undefined>): Promise<T | undefined>;
  /** Caches in the order in which they are asked, without those that are left alone. */
  inOrder(): Promise<readonly ObjectStore[]>;
  /** Tells of a cache that has failed outside of `firstOf`. */
  failed(objects: ObjectStore, error: CarportError): void;
}

/** A cache that does not answer is left alone for so long; then one request looks whether it is back. */
const REST_MS = 10_000;

/** The same is not told again so soon. */
const WARNING_PAUSE_MS = 60_000;
const MOST_TOLD = 1000;

export function createUpstreams(caches: readonly ObjectStore[], options: UpstreamsOptions): Upstreams {
  const { offlineOk, now } = options;
  const warn = createWarner(options);
  let storeDir: string | undefined;
  const upstreams = caches.map((objects) => createUpstream(objects, { now, warn }));
  const known = async (): Promise<readonly Upstream[]> => {
    const awake = upstreams.filter((each) => each.takeTurn());
    await Promise.all(awake.map((each) => each.learn()));
    // Of those that answer the first that was named decides, and not the first that answers.
    for (const each of awake) storeDir = each.accept(storeDir);
    const priorityOf = (each: Upstream) => each.info()?.priority ?? 0;
    return awake.filter((each) => each.info()).sort((a, b) => priorityOf(a) - priorityOf(b));
  };
  const unanswered = (failure?: CarportError): CarportError =>
    failure ??
    upstreams.flatMap((each) => each.failure() ?? [])[0] ??
    new CarportError('E_UNAVAILABLE', 'no cache answers');
  return {
    async describe() {
      await known();
      const priorities = upstreams.flatMap((each) => each.info() ?? []).map(({ priority = 0 }) => priority);
      if (storeDir === undefined && !offlineOk) throw unanswered();
      const priority = priorities.length > 0 ? { priority: Math.min(...priorities) } : {};
      return { storeDir: storeDir ?? DEFAULT_STORE_DIR, wantMassQuery: true, ...priority };
    },
    async firstOf(look) {
      let failure: CarportError | undefined;
      let hasAnswered = false;
      for (const upstream of await known()) {
        try {
          const found = await look(upstream.objects);
          upstream.answered();
          if (found !== undefined) return found;
          hasAnswered = true;
        } catch (error) {
          failure = failureOf(error);
          upstream.failed(failure);
        }
      }
      if (hasAnswered || (offlineOk && (failure === undefined || failure.code === 'E_UNAVAILABLE'))) return undefined;
      throw unanswered(failure);
    },
    inOrder: async () => (await known()).map(({ objects }) => objects),
    failed: (objects, error) => upstreams.find((each) => each.objects === objects)?.failed(error),
  };
}

interface Upstream {
  readonly objects: ObjectStore;
  info(): CacheInfo | undefined;
  /** Why it is left alone, or was. */
  failure(): CarportError | undefined;
  /** Whether to ask it. Of one that has rested only one is told so at a time. */
  takeTurn(): boolean;
  /** Asks it what it is, once; what is no cache is left alone as if it did not answer. */
  learn(): Promise<void>;
  /** Uses it if it is of this store dir, or of any where none is known; else it is left alone, too. Gives the store dir. */
  accept(storeDir: string | undefined): string | undefined;
  answered(): void;
  failed(error: CarportError): void;
}

interface UpstreamContext extends Pick<UpstreamsOptions, 'now'> {
  warn(message: string): void;
}

function createUpstream(objects: ObjectStore, { now, warn }: UpstreamContext): Upstream {
  let info: CacheInfo | undefined;
  let told: CacheInfo | undefined;
  let asking: Promise<void> | undefined;
  let rest: { readonly until: number; readonly error: CarportError } | undefined;
  const sleep = (error: CarportError): void => {
    rest = { until: now() + REST_MS, error };
  };
  const refuse = (error: unknown): void => {
    const failure = failureOf(error);
    told = undefined;
    sleep(failure);
    warn(failure.message);
  };
  const ask = async (): Promise<void> => {
    try {
      told = await requireCacheInfo(objects);
    } catch (error) {
      refuse(error);
    } finally {
      asking = undefined;
    }
  };
  return {
    objects,
    info: () => info,
    failure: () => rest?.error,
    takeTurn() {
      if (rest === undefined) return true;
      if (now() < rest.until) return false;
      sleep(rest.error);
      return true;
    },
    async learn() {
      if (told !== undefined) return;
      asking ??= ask();
      await asking;
    },
    accept(storeDir) {
      if (told === undefined || info !== undefined) return storeDir;
      try {
        checkStoreDir(objects, told.storeDir, storeDir ?? told.storeDir);
      } catch (error) {
        refuse(error);
        return storeDir;
      }
      info = told;
      rest = undefined;
      return storeDir ?? told.storeDir;
    },
    answered() {
      rest = undefined;
    },
    failed(error) {
      if (error.code === 'E_UNAVAILABLE') sleep(error);
      warn(error.message);
    },
  };
}

/** Tells the same once a minute only. */
function createWarner({ emit, now }: UpstreamsOptions): (message: string) => void {
  const told = new Map<string, number>();
  return (message) => {
    if (now() - (told.get(message) ?? Number.NEGATIVE_INFINITY) < WARNING_PAUSE_MS) return;
    if (told.size >= MOST_TOLD) told.clear();
    told.set(message, now());
    emit({ type: 'warning', message });
  };
}

/** What a cache's fault is; what is none of it is thrown. */
function failureOf(error: unknown): CarportError {
  if (!(error instanceof CarportError) || error.code === 'E_INTERRUPTED') throw error;
  return error;
}
