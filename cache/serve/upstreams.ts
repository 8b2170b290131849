/** The caches behind a server: which is asked first, and which is left alone for a while since it does not answer. */

import { CarportError, hasCode } from '../../lib/errors.js';
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

interface Upstream {
  readonly objects: ObjectStore;
  info?: CacheInfo;
  asking?: Promise<CacheInfo> | undefined;
  rest?: { until: number; readonly error: CarportError } | undefined;
}

export function createUpstreams(caches: readonly ObjectStore[], options: UpstreamsOptions): Upstreams {
  const { offlineOk, emit, now } = options;
  const upstreams: readonly Upstream[] = caches.map((objects) => ({ objects }));
  const told = new Map<string, number>();
  let storeDir: string | undefined;

  const warn = (message: string): void => {
    if (now() - (told.get(message) ?? Number.NEGATIVE_INFINITY) < WARNING_PAUSE_MS) return;
    if (told.size > 1000) told.clear();
    told.set(message, now());
    emit({ type: 'warning', message });
  };
  const rest = (upstream: Upstream, error: CarportError): void => {
    upstream.rest = { until: now() + REST_MS, error };
  };
  const failed = (upstream: Upstream, error: CarportError): void => {
    if (error.code === 'E_UNAVAILABLE') rest(upstream, error);
    warn(error.message);
  };
  const infoOf = async (upstream: Upstream): Promise<CacheInfo> => {
    const info = await requireCacheInfo(upstream.objects);
    storeDir ??= info.storeDir;
    checkStoreDir(upstream.objects, info.storeDir, storeDir);
    upstream.info = info;
    return info;
  };
  /** Asks a cache what it is, once; what is none is left alone as if it did not answer. */
  const learn = async (upstream: Upstream): Promise<void> => {
    upstream.asking ??= infoOf(upstream).finally(() => {
      upstream.asking = undefined;
    });
    await upstream.asking.catch((error: unknown) => {
      const failure = failureOf(error);
      rest(upstream, failure);
      warn(failure.message);
    });
  };
  const isResting = ({ rest }: Upstream) => rest !== undefined && now() < rest.until;
  const known = async (): Promise<readonly Upstream[]> => {
    const awake = upstreams.filter((each) => !isResting(each));
    // Nobody else asks meanwhile one that may be away still.
    for (const each of awake) if (each.rest) each.rest.until = now() + REST_MS;
    await Promise.all(awake.filter(({ info }) => info === undefined).map(learn));
    const usable = awake.filter(({ info }) => info !== undefined);
    return usable.sort((a, b) => (a.info!.priority ?? 0) - (b.info!.priority ?? 0));
  };
  const unanswered = (failure?: CarportError): CarportError | undefined =>
    failure ?? upstreams.find(({ rest }) => rest !== undefined)?.rest?.error;

  return {
    async describe() {
      await known();
      const priorities = upstreams.flatMap(({ info }) => (info ? [info.priority ?? 0] : []));
      if (storeDir === undefined && !offlineOk) throw unanswered() ?? nothingAnswers();
      const priority = priorities.length > 0 ? { priority: Math.min(...priorities) } : {};
      return { storeDir: storeDir ?? DEFAULT_STORE_DIR, wantMassQuery: true, ...priority };
    },
    async firstOf(look) {
      let failure: CarportError | undefined;
      let hasAnswered = false;
      for (const upstream of await known()) {
        try {
          const found = await look(upstream.objects);
          upstream.rest = undefined;
          if (found !== undefined) return found;
          hasAnswered = true;
        } catch (error) {
          failure = failureOf(error);
          failed(upstream, failure);
        }
      }
      if (hasAnswered || (offlineOk && (failure === undefined || failure.code === 'E_UNAVAILABLE'))) return undefined;
      throw unanswered(failure) ?? nothingAnswers();
    },
    inOrder: async () => (await known()).map(({ objects }) => objects),
    failed(objects, error) {
      const upstream = upstreams.find((each) => each.objects === objects);
      if (upstream) failed(upstream, error);
    },
  };
}

/** What a cache's fault is; what is none of it is thrown. */
function failureOf(error: unknown): CarportError {
  if (!(error instanceof CarportError) || hasCode(error, 'E_INTERRUPTED')) throw error;
  return error;
}

function nothingAnswers(): CarportError {
  return new CarportError('E_UNAVAILABLE', 'no cache answers');
}
