/** What a cache lacks of a closure, and what is to be signed. */

import { CarportError } from '../../lib/errors.js';
import { type PathGraph, topologicalOrder } from '../../lib/nix/closure.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import { isSignedByOneOf } from '../../lib/signing/signature.js';
import { readCacheInfo, readNarInfo } from '../binary-cache.js';
import { hasAllSignatures } from '../signatures.js';
import { listOrphanedNarInfos, orphanedNarInfosError } from './orphaned-narinfos.js';
import type { PathStatus } from './path-status.js';
import { type CacheQuery, type PathStatuses, queryAll, queryFromRoots } from './query-cache.js';
import { OTHER_CACHES } from './upstream-keys.js';

export interface PushPlan {
  /** The whole closure, dependencies first. */
  readonly order: readonly PathInfo[];
  /** What the cache does not have, in that order. */
  readonly upload: readonly PathInfo[];
  /** Narinfos of the same content that lack a signature by one of our keys, in that order. */
  readonly sign: readonly NarInfo[];
  /** Paths that the cache has with other content: their builds are not reproducible. */
  readonly different: readonly string[];
  /** Narinfos of those of them that one of our keys has not signed. */
  readonly foreign: readonly NarInfo[];
  /** Paths to upload of which the cache has the narinfo, but not the NAR. */
  readonly damaged: readonly string[];
  /** Paths that are left out because another cache has them. */
  readonly skipped: readonly string[];
  /** Names of the keys that signed those, as far as the request names them; `OTHER_CACHES` for the others. */
  readonly skippedBy: readonly string[];
  /**
   * When to write `nix-cache-info`: it is there, or goes first, or last, since what is there without it may be incomplete
   * until then.
   */
  readonly cacheInfo: 'exists' | 'write-first' | 'write-last';
}

export interface PushRequest {
  readonly graph: PathGraph;
  readonly keys: readonly SecretKey[];
  /** Ask for each path and its NAR, instead of trusting that what is there is complete. */
  readonly checkAll: boolean;
  /** Names of keys: paths that one of them signed are in another cache, and are left out. */
  readonly skipSignedBy: readonly string[];
  /** Paths that other caches have, and that are left out. */
  readonly skipPaths?: ReadonlySet<string>;
  /** Whether there is a cache already: without a `nix-cache-info` no narinfo vouches for anything. */
  readonly hasCache: boolean;
}

/** Asks the cache what it has, and so finds what is missing. */
export async function planPush(objects: ObjectStore, request: PushRequest): Promise<PushPlan> {
  const { graph, keys, skipSignedBy, skipPaths } = request;
  const order = topologicalOrder(graph);
  const left = order.filter((info) => isSignedByOneOf(info, skipSignedBy) || skipPaths?.has(info.path));
  const skipped = new Set(left.map(({ path }) => path));
  const wanted = new Map(order.filter(({ path }) => !skipped.has(path)).map((info) => [info.path, info]));
  const { answers, cacheInfo } = await ask({ objects, graph, wanted, keys }, request);

  const found = order.map(({ path }) => answers.get(path)).filter((answer) => answer !== undefined);
  const upload = found.filter(({ state }) => state === 'absent').map(({ info }) => info);
  const sign = found.flatMap(({ state, there }) => (state === 'unsigned' && there ? [there] : []));
  const paths = (answers: readonly PathStatus[]) => answers.map(({ info }) => info.path);
  const others = found.filter(({ state }) => state === 'different');
  const different = paths(others);
  const foreign = others.flatMap(({ there }) => (there && !hasAllSignatures(there, keys) ? [there] : []));
  const damaged = paths(found.filter(({ lacksNar }) => lacksNar));
  await checkReferences(objects, graph, [...upload, ...sign], request);
  const byKey = skipSignedBy.filter((name) => left.some((info) => isSignedByOneOf(info, [name])));
  const skippedBy = left.some(({ path }) => skipPaths?.has(path)) ? [...byKey, OTHER_CACHES] : byKey;
  return { order, upload, sign, different, foreign, damaged, skipped: [...skipped], skippedBy, cacheInfo };
}

async function ask(
  question: CacheQuery,
  { hasCache, checkAll }: PushRequest,
): Promise<Pick<PushPlan, 'cacheInfo'> & { readonly answers: PathStatuses }> {
  const { objects, wanted } = question;
  const fromRoots = async () => ({ answers: await queryFromRoots(question), cacheInfo: 'exists' }) as const;
  if (hasCache && !checkAll) return fromRoots();
  if (hasCache) return { answers: await queryAll(question, undefined), cacheInfo: 'exists' };
  const orphaned = await listOrphanedNarInfos(objects, new Set([...wanted.keys()].map(hashPartOf)));
  const strange = orphaned?.unexpected;
  if (strange !== undefined && !checkAll) {
    // Another push may have made the cache in the meantime.
    if (await readCacheInfo(objects)) return fromRoots();
    throw orphanedNarInfosError(objects, strange);
  }
  const listed = strange === undefined ? orphaned?.hashParts : undefined;
  const answers = await queryAll(question, listed);
  const isEmpty = [...answers.values()].every(({ state, lacksNar }) => state === 'absent' && !lacksNar);
  return { answers, cacheInfo: isEmpty && strange === undefined ? 'write-first' : 'write-last' };
}

/**
 * With `--closure none` some references are not pushed: they must be in the cache, and signed as what is pushed will be,
 * or a path would vouch for a closure that is not complete.
 */
async function checkReferences(
  objects: ObjectStore,
  graph: PathGraph,
  written: readonly PathInfo[],
  { keys, hasCache, checkAll }: PushRequest,
): Promise<void> {
  const outside = new Map(
    written.flatMap(({ path, references }) =>
      references.filter((reference) => !graph.has(reference)).map((reference) => [reference, path] as const),
    ),
  );
  for (const [reference, path] of outside) {
    const there = hasCache || checkAll ? await readNarInfo(objects, hashPartOf(reference)) : undefined;
    if (there && hasAllSignatures(there, keys)) continue;
    const why = there ? 'which your key has not signed' : 'which the cache does not have';
    throw new CarportError(there ? 'E_SIGNATURE' : 'E_NOT_FOUND', `\`${path}\` refers to \`${reference}\`, ${why}`, {
      hint: 'push the whole closure: leave `--closure none` out',
    });
  }
}
