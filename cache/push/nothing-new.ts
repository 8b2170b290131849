/**
 * A push that has nothing to do, found out by its roots: a narinfo of one that our keys signed, for the content that the store has,
 * vouches for all below it, as in `query-cache.ts`. The closure is not computed for that.
 */

import { CarportError } from '../../lib/errors.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { hashPartOf, storeDirOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { readCacheInfo, readNarInfo } from '../binary-cache.js';
import { type Leasing, withLease } from '../leases/lease.js';
import { narFault } from '../nars.js';
import { queryPath } from './path-status.js';
import { FEW } from './query-cache.js';
import { allRecordedKeys } from './upstream-keys.js';

/** What is asked for. */
export interface RootsRequest {
  /** Paths of one store dir, one at least. */
  readonly paths: readonly string[];
  /** What the store has of them; `undefined` where that is not all. */
  readonly roots: Promise<readonly PathInfo[] | undefined>;
  /** One at least. */
  readonly keys: readonly SecretKey[];
  /** Names of keys whose paths the push leaves out. */
  readonly skipSignedBy: readonly string[];
}

/** Who asks. */
export interface RootsWork {
  readonly emit: Emit<WarningEvent>;
  readonly signal: AbortSignal;
  readonly leasing: Leasing;
}

/** What a cache has of the closures of roots, which is all. */
export interface WholeClosures {
  /** Paths of the closures, where that was seen on the way. */
  readonly paths: number | undefined;
}

/**
 * Whether a cache has the closures of roots as a push would leave them; then the roots' narinfos are young again, as after that
 * push. `undefined` where anything is missing or not as it should be: a push looks closer, and says what.
 *
 * The lease names the roots alone. A garbage collection that sees it spares what they refer to, and one that does not name a root
 * that is there spares that, too.
 */
export async function findWhole(
  objects: ObjectStore,
  request: RootsRequest,
  { leasing, ...work }: RootsWork,
): Promise<WholeClosures | undefined> {
  const { paths } = request;
  try {
    // Mostly a push has something to do, and needs no lease to find that out.
    if (!(await isLikely(objects, paths))) return undefined;
    return await withLease(
      objects,
      { paths, ...work },
      async ({ refresh }) => {
        const found = await look(objects, request);
        if (found) await refresh(paths);
        return found;
      },
      leasing,
    );
  } catch (error) {
    work.signal.throwIfAborted();
    if (error instanceof CarportError) return undefined;
    throw error;
  }
}

async function isLikely(objects: ObjectStore, paths: readonly string[]): Promise<boolean> {
  const [info, there] = await Promise.all([readCacheInfo(objects), readNarInfo(objects, hashPartOf(paths[0]!))]);
  return there !== undefined && paths.every((path) => storeDirOf(path) === info?.storeDir);
}

async function look(
  objects: ObjectStore,
  { roots: asked, keys, skipSignedBy }: RootsRequest,
): Promise<WholeClosures | undefined> {
  const [roots, recorded] = await Promise.all([asked, allRecordedKeys(objects)]);
  if (roots === undefined) return undefined;
  const answers = await Promise.all(roots.map((info) => queryPath(objects, info, keys, true)));
  if (answers.some(({ state }) => state !== 'present')) return undefined;
  // A push before this one has left out what this one would send.
  if (recorded.some((name) => !skipSignedBy.includes(name))) return undefined;
  return objects.traits.isImmediate ? lookBelow(objects, roots) : { paths: undefined };
}

/** In a directory, small closures are looked at whole: a NAR may be lost. */
async function lookBelow(objects: ObjectStore, roots: readonly PathInfo[]): Promise<WholeClosures | undefined> {
  const seen = new Set(roots.map(({ path }) => path));
  let level: readonly PathInfo[] = roots;
  while (level.length > 0) {
    const below = new Set(level.flatMap(({ references }) => references).filter((path) => !seen.has(path)));
    for (const path of below) seen.add(path);
    if (seen.size > FEW) return { paths: undefined };
    const read = await Promise.all([...below].map((path) => readWhole(objects, path)));
    const whole = read.filter((info) => info !== undefined);
    if (whole.length < read.length) return undefined;
    level = whole;
  }
  return { paths: seen.size };
}

/** The narinfo of a path, unless that or its NAR is missing. */
async function readWhole(objects: ObjectStore, path: string): Promise<PathInfo | undefined> {
  const info = await readNarInfo(objects, hashPartOf(path));
  return info?.path === path && !(await narFault(objects, info)) ? info : undefined;
}
