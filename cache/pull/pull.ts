/** Fetches, places and registers it. */

import pLimit from 'p-limit';
import { NarRefusal } from '../../lib/compression/nar-refusal.js';
import { CarportError, insteadOf } from '../../lib/errors.js';
import { removeTree } from '../../lib/filesystem/temporary.js';
import { isContentAddressOf } from '../../lib/nix/content-address.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { expectedNar, narKey } from '../binary-cache.js';
import { fromFirstThatCan, type Sources } from '../fallback.js';
import type { FoundPath } from '../find-path.js';
import { missingNar, openRequiredNar } from '../nars.js';
import { refusedNar } from '../refused-nar.js';
import type { PullPlan } from './plan.js';
import type { PathReceiver } from './target.js';

export interface PullOptions extends Sources {
  readonly receiver: PathReceiver;
  readonly pool: WorkerPool;
}

export interface PullTotals {
  /** Compressed bytes that were read. */
  readonly fileSize: number;
}

/**
 * Fetches what the plan says. A path gets its name when its NAR has the hash that was signed, and is registered after
 * its references, so every registered path is whole and so is its closure.
 */
export async function pull(plan: PullPlan, options: PullOptions): Promise<PullTotals> {
  const { pool, receiver, emit } = options;
  const failure = new AbortController();
  const limit = pLimit(pool.capacity + 2);
  const ahead = pLimit(SMALL_FETCHES_AT_ONCE);
  let fileSize = 0;

  const registered = new Map<string, Promise<void>>();
  const fetchAndRegister = async (planned: FoundPath): Promise<void> => {
    const { path, narSize } = planned.info;
    const references = planned.info.references.filter((reference) => reference !== path);
    const fetched = await (isSmall(planned) ? ahead : limit)(() => {
      failure.signal.throwIfAborted();
      return fetchPath(planned, options);
    });
    try {
      await Promise.all(references.map((reference) => registered.get(reference)));
      failure.signal.throwIfAborted();
      if (fetched.temporary !== undefined) await receiver.place(fetched.temporary, fetched.info);
      else await receiver.register(fetched.info);
    } catch (error) {
      if (fetched.temporary !== undefined) await removeTree(fetched.temporary);
      throw error;
    }
    fileSize += fetched.fileSize;
    emit({ type: 'path-finished', path, narSize, fileSize: fetched.fileSize });
  };
  for (const planned of plan.fetch) {
    const done = fetchAndRegister(planned);
    done.catch((error) => failure.abort(error));
    registered.set(planned.info.path, done);
  }
  await Promise.allSettled(registered.values());
  failure.signal.throwIfAborted();
  return { fileSize };
}

/** A compressed NAR up to this size is read whole and then unpacked, so that no thread waits for the network. */
const SMALL_FILE = 512 * 1024;

/**
 * Small NARs that are on their way at a time. A server far away answers late, but many at once; and Garage stalls an
 * answer of 3 to 64 KiB for 44 ms on a connection that was used before.
 */
const SMALL_FETCHES_AT_ONCE = 128;

function isSmall({ info, objects }: FoundPath): boolean {
  return objects.localPath === undefined && info.fileSize !== undefined && info.fileSize <= SMALL_FILE;
}

interface Fetched {
  readonly info: PathInfo;
  /** Where the tree or NAR is; `undefined` when it is at its place already. */
  readonly temporary?: string;
  readonly fileSize: number;
}

/** Fetches from the first cache that has the path whole; one that fails is passed over with a warning. */
async function fetchPath(planned: FoundPath, options: PullOptions): Promise<Fetched> {
  const { receiver, emit } = options;
  emit({ type: 'path-started', path: planned.info.path, narSize: planned.info.narSize });
  if (await receiver.hasLeft(planned.info)) return { info: registrationOf(planned.info), fileSize: 0 };
  return fromFirstThatCan(planned, options, (from) => fetchFrom(from, options));
}

/** Times that a NAR is fetched whose bytes are wrong: what was damaged on the way is whole at another try. */
const FETCHES = 3;
/** A file of this machine mostly stays as it is: the second read is there to be sure. */
const LOCAL_FETCHES = 2;

async function fetchFrom(planned: FoundPath, options: PullOptions): Promise<Fetched> {
  const { info, objects } = planned;
  const fetches = objects.localPath === undefined ? FETCHES : LOCAL_FETCHES;
  const refusals: NarRefusal[] = [];
  for (let fetch = 1; ; fetch++) {
    try {
      return await fetchOnce(planned, options);
    } catch (cause) {
      if (!(cause instanceof CarportError)) throw cause;
      if (cause.code === 'E_NOT_FOUND') throw missingNar(objects, info);
      if (cause instanceof NarRefusal) {
        refusals.push(cause);
        const isSure = cause.found === 'as told' || cause.code === 'E_UNSUPPORTED';
        if (isSure || fetch === fetches) throw refusedNar(info, objects, refusals);
      } else if (cause.code !== 'E_INTEGRITY' || fetch === fetches) {
        // It says itself what failed on the way.
        throw cause;
      }
    }
  }
}

async function fetchOnce({ info, objects }: FoundPath, options: PullOptions): Promise<Fetched> {
  const { pool, receiver, emit } = options;
  const temporary = receiver.temporaryName();
  const onProgress = (bytes: number) => emit({ type: 'progress', bytes });
  const job = { type: receiver.job, destination: temporary, promise: expectedNar(info) } as const;
  const weight = info.narSize;
  try {
    const file = objects.localPath?.(narKey(info));
    const { fileSize } =
      file === undefined
        ? await pool.run(job, { source: await sourceOf(info, objects), onProgress, weight })
        : await pool.run({ ...job, file }, { onProgress, weight });
    return { info: registrationOf(info), temporary, fileSize };
  } catch (error) {
    await removeTree(temporary);
    throw error;
  }
}

/** A small NAR whole; a large one is asked for when a thread wants its first bytes, so that no answer waits for one. */
async function sourceOf(info: NarInfo, objects: ObjectStore): Promise<AsyncIterable<Uint8Array>> {
  if (!isSmall({ info, objects })) return openedLate(async () => (await openRequiredNar(objects, info)).bytes());
  const bytes = await objects.read(narKey(info), SMALL_FILE).catch(insteadOf('E_FORMAT', 'too large' as const));
  if (bytes === 'too large') {
    throw new NarRefusal('E_INTEGRITY', `the file is larger than its ${info.fileSize} bytes`, 'another');
  }
  if (bytes) return oneAfterAnother([bytes]);
  throw missingNar(objects, info);
}

async function* openedLate(open: () => Promise<AsyncIterable<Uint8Array>>): AsyncGenerator<Uint8Array> {
  yield* await open();
}

async function* oneAfterAnother(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

/** What is registered of a path: what was signed, and of the rest only what could be checked. */
function registrationOf({ path, narHash, narSize, references, deriver, signatures, ca }: NarInfo): PathInfo {
  return {
    ...{ path, narHash, narSize, references, signatures },
    ...(deriver && { deriver }),
    ...(ca && isContentAddressOf(ca, path, references) && { ca }),
  };
}
