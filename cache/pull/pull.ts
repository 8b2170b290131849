import { lstat } from 'node:fs/promises';
import pLimit from 'p-limit';
import { CarportError } from '../../lib/errors.js';
import type { Emit } from '../../lib/events.js';
import { removeTree } from '../../lib/filesystem/temporary.js';
import { isContentAddressOf } from '../../lib/nix/content-address.js';
import type { NarInfo, PathInfo } from '../../lib/nix/narinfo.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { OwnStore, StoreWriter } from '../../lib/store/own-store.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { openNar, promiseOf } from '../binary-cache.js';
import type { ObjectStore } from '../object-store/object-store.js';
import { findPath, type PlannedPath, type PullPlan, type TrustPolicy } from './plan.js';

export interface PullOptions {
  /** In the order in which they are asked. */
  readonly caches: readonly ObjectStore[];
  readonly store: OwnStore;
  readonly writer: StoreWriter;
  readonly pool: WorkerPool;
  readonly trust: TrustPolicy;
  readonly emit: Emit;
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
  const { pool, writer, emit } = options;
  const failure = new AbortController();
  const limit = pLimit(pool.size + 2);
  let fileSize = 0;

  const registered = new Map<string, Promise<void>>();
  const fetchAndRegister = async (planned: PlannedPath): Promise<void> => {
    const { path, narSize } = planned.info;
    const references = planned.info.references.filter((reference) => reference !== path);
    const fetched = await limit(() => {
      failure.signal.throwIfAborted();
      return fetchPath(planned, options);
    });
    try {
      await Promise.all(references.map((reference) => registered.get(reference)));
      failure.signal.throwIfAborted();
      if (fetched.temporary !== undefined) await writer.place(fetched.temporary, fetched.info);
      else await writer.register(fetched.info);
    } finally {
      if (fetched.temporary !== undefined) await removeTree(fetched.temporary);
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

interface Fetched {
  readonly info: PathInfo;
  /** Where the tree is; `undefined` when it is at its place already. */
  readonly temporary?: string;
  readonly fileSize: number;
}

/** Fetches from the first cache that has the path whole; one that fails is passed over with a warning. */
async function fetchPath(planned: PlannedPath, options: PullOptions): Promise<Fetched> {
  const { caches, store, trust, emit } = options;
  emit({ type: 'path-started', path: planned.info.path, narSize: planned.info.narSize });
  const left = (await isThere(store.realPath(planned.info))) && (await options.writer.isWhole(planned.info));
  if (left) return { info: registrationOf(planned.info), fileSize: 0 };
  let rest = caches.slice(caches.indexOf(planned.objects) + 1);
  for (let from = planned; ; ) {
    try {
      return await fetchFrom(from, options);
    } catch (error) {
      if (!isFaultOfCache(error) || rest.length === 0) throw error;
      emit({ type: 'warning', message: `${error.message}; trying the next cache` });
      const wanted = { hashPart: hashPartOf(from.info.path), path: from.info.path, storeDir: store.storeDir };
      from = await findPath(rest, wanted, trust, emit).catch(() => {
        throw error;
      });
      rest = rest.slice(rest.indexOf(from.objects) + 1);
    }
  }
}

async function fetchFrom({ info, objects }: PlannedPath, options: PullOptions): Promise<Fetched> {
  const { pool, writer, emit } = options;
  const nar = await openNar(objects, info);
  if (nar === undefined) {
    throw new CarportError('E_NOT_FOUND', `\`${objects.url}\` has a narinfo of \`${info.path}\`, but not its NAR`, {
      cause: new Error(`\`${info.url}\` is missing`),
      hint: 'the cache is not complete: push the path again with `--check-all`',
    });
  }
  const temporary = writer.temporaryName();
  try {
    await pool.run(
      { type: 'unpack', destination: temporary, promise: promiseOf(info) },
      { source: nar.bytes(), onProgress: (bytes) => emit({ type: 'progress', bytes }) },
    );
    return { info: registrationOf(info), temporary, fileSize: nar.size };
  } catch (cause) {
    await removeTree(temporary);
    if (!isFaultOfCache(cause)) throw cause;
    throw new CarportError('E_INTEGRITY', `the NAR of \`${info.path}\` in \`${objects.url}\` is damaged`, {
      cause,
      hint: 'nothing of it was kept; push the path again from where it is whole, or pull it from another cache',
    });
  }
}

/** What is registered of a path: what was signed, and of the rest only what could be checked. */
function registrationOf({ path, narHash, narSize, references, deriver, signatures, ca }: NarInfo): PathInfo {
  return {
    ...{ path, narHash, narSize, references, signatures },
    ...(deriver && { deriver }),
    ...(ca && isContentAddressOf(ca, path, references) && { ca }),
  };
}

function isFaultOfCache(error: unknown): error is CarportError {
  return (
    error instanceof CarportError && ['E_INTEGRITY', 'E_FORMAT', 'E_NOT_FOUND', 'E_SIGNATURE'].includes(error.code)
  );
}

function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
