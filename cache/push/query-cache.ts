/** Asks a cache what it has of a closure: in which order, and what need not be asked for. */

import { createLimit, mapAtMost } from '../../lib/concurrency.js';
import { CarportError, hasCode } from '../../lib/errors.js';
import { type PathGraph, reachableFrom } from '../../lib/nix/closure.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import { isSignedByOneOf, signatureKeyName } from '../../lib/signing/signature.js';
import { listNarInfosIfCheaper, listNarsIfCheaper } from '../existing-objects.js';
import { type NarSizes, narFault } from '../nars.js';
import { type PathStatus, queryPath, withoutNar } from './path-status.js';
import { recordedUpstreamKeys } from './upstream-keys.js';

/** Narinfos that are asked for at a time. */
const QUERIES_AT_ONCE = 64;

export interface CacheQuery {
  readonly objects: ObjectStore;
  readonly graph: PathGraph;
  /** The paths of the graph that the cache shall have. */
  readonly wanted: ReadonlyMap<string, PathInfo>;
  readonly keys: readonly SecretKey[];
}

/** By path; those that are vouched for have none. */
export type PathStatuses = ReadonlyMap<string, PathStatus>;

/** Asks for every path and its NAR, but not for those that a listing does not name. */
export function queryAll(question: CacheQuery, listed: ReadonlySet<string> | undefined): Promise<PathStatuses> {
  return askForEach(question, [...question.wanted.values()], listed, true);
}

async function askForEach(
  { objects, keys }: Pick<CacheQuery, 'objects' | 'keys'>,
  infos: readonly PathInfo[],
  listed: ReadonlySet<string> | undefined,
  checkNar: boolean,
): Promise<PathStatuses> {
  const absent = infos.filter(({ path }) => listed && !listed.has(hashPartOf(path)));
  const answers = new Map(absent.map((info): [string, PathStatus] => [info.path, { info, state: 'absent' }]));
  const asked = infos.filter(({ path }) => !answers.has(path));
  const ask = async (info: PathInfo) => [info.path, await queryPath(objects, info, keys, checkNar)] as const;
  return new Map([...answers, ...(await mapAtMost(QUERIES_AT_ONCE, asked, ask))]);
}

/**
 * Asks for the roots, then for what the missing ones refer to, and so on: a narinfo that is there and that our keys signed
 * vouches for its closure. Where a listing takes fewer requests, it tells what is missing. Beside that it is looked whether
 * the cache has lost NARs, as far as that costs little.
 */
export async function queryFromRoots(question: CacheQuery): Promise<PathStatuses> {
  const { objects, wanted, graph } = question;
  const walk = createWalk(question);
  // What another root needs is vouched for by that.
  const roots = uppermost(graph);
  await walk.ask(roots);
  const rest = async () => {
    await walk.askBelow(roots);
    return walk.askFor(await leftOutBefore(objects, wanted, walk.answers));
  };
  const [doubtful, lost] = await Promise.all([rest(), lostPaths(question, [...walk.answers.values()])]);
  if (lost.length > 0) await walk.askBelowLost(lost);
  return new Map([...doubtful, ...walk.answers]);
}

/** What is known so far, and how more is asked for. */
function createWalk({ objects, wanted, graph, keys }: CacheQuery) {
  const limit = createLimit(QUERIES_AT_ONCE);
  const answers = new Map<string, PathStatus>();
  const seen = new Set<string>();
  let listed: ReadonlySet<string> | undefined;
  // A directory answers at once.
  let looksForNars = objects.traits.isImmediate;

  const askForOne = async (path: string): Promise<PathStatus | undefined> => {
    const info = wanted.get(path);
    if (info === undefined) return undefined;
    if (listed && !listed.has(hashPartOf(path))) return { info, state: 'absent' };
    return limit(async () => {
      const answer = await queryPath(objects, info, keys, false);
      return looksForNars ? withNar(objects, answer) : answer;
    });
  };
  const ask = async (paths: readonly string[]): Promise<void> => {
    const asked = await Promise.all(paths.map(async (path) => [path, await askForOne(path)] as const));
    for (const [path, answer] of asked) {
      seen.add(path);
      if (answer) answers.set(path, answer);
    }
  };
  const askBelow = async (above: readonly string[]): Promise<void> => {
    const open = above.filter((path) => answers.get(path)?.state !== 'present');
    const references = new Set(open.flatMap((path) => graph.get(path)!.references));
    let level: readonly string[] = [...references].filter((path) => graph.has(path) && !seen.has(path));
    if (level.length === 0) return;
    // The whole rest may be missing: that is what a listing would save asking for.
    listed ??= await listNarInfosIfCheaper(objects, reachableFrom(graph, level).size);
    // What is known to be missing is not asked for, and of the rest the uppermost vouch for the others.
    if (listed) level = withoutReachable(graph, level);
    await ask(level);
    return askBelow(level);
  };
  return {
    answers: answers as PathStatuses,
    ask,
    askBelow,
    /** Asks for paths without following them. */
    async askFor(infos: readonly PathInfo[]): Promise<PathStatuses> {
      listed ??= await listNarInfosIfCheaper(objects, infos.length);
      return askForEach({ objects, keys }, infos, listed, false);
    },
    /** A cache that has lost one NAR may have lost those below it, too. */
    async askBelowLost(lost: readonly PathStatus[]): Promise<void> {
      looksForNars = true;
      for (const answer of lost) answers.set(answer.info.path, answer);
      await askBelow(lost.map(({ info }) => info.path));
    },
  };
}

/** So many NARs of roots are looked for on a server: each is a request. */
const MOST_NARS = 32;

/** From so many roots on, a short listing of the NARs is no more than a few of the requests. */
const MANY_ROOTS = 100;

/** A closure of so many paths is looked at whole in a directory. */
export const FEW = 32;

/** Answers for what the cache has lost of a closure: of the roots that it has, and of all in a directory. */
async function lostPaths(
  { objects, wanted, keys }: CacheQuery,
  roots: readonly PathStatus[],
): Promise<readonly PathStatus[]> {
  if (objects.traits.isImmediate) {
    // Of a larger one they are looked for where narinfos are read anyway.
    if (wanted.size > FEW) return [];
    const look = async (info: PathInfo) => withNar(objects, await queryPath(objects, info, keys, false));
    const looked = await mapAtMost(QUERIES_AT_ONCE, wanted.values(), look);
    return looked.filter(({ state }) => state === 'absent');
  }
  const there = roots.filter(({ there }) => there !== undefined);
  const sizes = there.length >= MANY_ROOTS ? await listNarsIfCheaper(objects, MOST_NARS) : undefined;
  const some = sizes ? there : there.slice(0, MOST_NARS);
  const looked = await mapAtMost(QUERIES_AT_ONCE, some, (answer) => withNar(objects, answer, sizes));
  return looked.filter(({ lacksNar }) => lacksNar);
}

/** An answer as it is, or for a path whose NAR is gone. */
async function withNar(objects: ObjectStore, answer: PathStatus, sizes?: NarSizes): Promise<PathStatus> {
  const { info, there } = answer;
  const fault = there && (await narFault(objects, there, sizes).catch(notKnown));
  return there && fault ? withoutNar(info, there) : answer;
}

/** It is looked at beside the way: what does not concern the push is not to stop it. */
function notKnown(error: unknown): undefined {
  if (error instanceof CarportError && !hasCode(error, 'E_UNAVAILABLE', 'E_INTERRUPTED')) return undefined;
  throw error;
}

/** Of the paths that are vouched for, those that a push with `--skip-signed-by` may not have sent. */
async function leftOutBefore(
  objects: ObjectStore,
  wanted: ReadonlyMap<string, PathInfo>,
  answers: PathStatuses,
): Promise<readonly PathInfo[]> {
  const vouchedFor = [...wanted.values()].filter(({ path }) => !answers.has(path));
  const names = new Set(vouchedFor.flatMap(({ signatures }) => signatures.map(signatureKeyName)));
  const upstream = await recordedUpstreamKeys(objects, [...names]);
  return vouchedFor.filter((info) => isSignedByOneOf(info, upstream));
}

/** What no other path refers to: not only the roots, since derivations do not refer to their outputs. */
function uppermost(graph: PathGraph): readonly string[] {
  const below = new Set([...graph.values()].flatMap(({ path, references }) => references.filter((to) => to !== path)));
  return [...graph.keys()].filter((path) => !below.has(path));
}

/** Of `roots`, those that no other of them refers to. */
function withoutReachable(graph: PathGraph, roots: readonly string[]): readonly string[] {
  const below = new Set<string>();
  for (const root of new Set(roots)) {
    if (below.has(root)) continue;
    for (const path of reachableFrom(graph, [root])) if (path !== root) below.add(path);
  }
  return [...new Set(roots)].filter((root) => !below.has(root));
}
