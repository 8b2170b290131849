import pLimit from 'p-limit';
import { CarportError } from '../../lib/errors.js';
import { type PathGraph, reachableFrom } from '../../lib/nix/closure.js';
import type { PathInfo } from '../../lib/nix/narinfo.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { SecretKey } from '../../lib/signing/key.js';
import { isSignedByOneOf, signatureKeyName } from '../../lib/signing/signature.js';
import { narFault } from '../nars.js';
import type { ObjectStore } from '../object-store/object-store.js';
import { type Answer, lookUp, withoutNar } from './look-up.js';
import { listNarInfosIfCheaper, listNarsIfCheaper } from './presence.js';
import { recordedSkips } from './skips.js';

/** Narinfos that are asked for at a time. */
const QUERIES_AT_ONCE = 64;

/** So many paths are all asked for at once: that takes no longer than asking for one. */
const FEW = 32;

export interface Question {
  readonly objects: ObjectStore;
  readonly graph: PathGraph;
  /** The paths of the graph that the cache shall have. */
  readonly wanted: ReadonlyMap<string, PathInfo>;
  readonly keys: readonly SecretKey[];
}

/** By path; those that are vouched for have none. */
export type Answers = ReadonlyMap<string, Answer>;

/** Asks for every path and its NAR, but not for those that a listing does not name. */
export function askForAll(question: Question, listed: ReadonlySet<string> | undefined): Promise<Answers> {
  return askForEach(question, [...question.wanted.values()], listed, true);
}

async function askForEach(
  { objects, keys }: Pick<Question, 'objects' | 'keys'>,
  infos: readonly PathInfo[],
  listed: ReadonlySet<string> | undefined,
  checkNar: boolean,
): Promise<Answers> {
  const limit = pLimit(QUERIES_AT_ONCE);
  const ask = async (info: PathInfo): Promise<Answer> => {
    if (listed && !listed.has(hashPartOf(info.path))) return { info, state: 'absent' };
    return limit(() => lookUp(objects, info, keys, checkNar));
  };
  return new Map(await Promise.all(infos.map(async (info) => [info.path, await ask(info)] as const)));
}

/**
 * Asks for the roots, then for what the missing ones refer to, and so on: a narinfo that is there and that our keys signed
 * vouches for its closure. Where a listing takes fewer requests, it tells what is missing. The NARs of what is there are
 * looked for, too, as far as that costs little.
 */
export async function askFromRoots({ objects, wanted, graph, keys }: Question): Promise<Answers> {
  const limit = pLimit(QUERIES_AT_ONCE);
  const answers = new Map<string, Answer>();
  const seen = new Set<string>();
  // What another root needs is vouched for by that.
  let level = wanted.size <= FEW ? [...wanted.keys()] : uppermost(graph);
  let listed: ReadonlySet<string> | undefined;
  for (let isFirst = true; level.length > 0; isFirst = false) {
    // The whole rest may be missing: that is what a listing would save asking for.
    if (!isFirst && listed === undefined)
      listed = await listNarInfosIfCheaper(objects, reachableFrom(graph, level).size);
    // What is known to be missing is not asked for, and of the rest the uppermost vouch for the others.
    if (listed) level = withoutReachable(graph, level);
    const ask = async (path: string): Promise<Answer | undefined> => {
      const info = wanted.get(path);
      if (info === undefined) return undefined;
      if (listed && !listed.has(hashPartOf(path))) return { info, state: 'absent' };
      return limit(() => lookUp(objects, info, keys, false));
    };
    const asked = await Promise.all(level.map(async (path) => [path, await ask(path)] as const));
    const answered = await withNars(objects, asked);
    for (const [path, answer] of answered) {
      seen.add(path);
      if (answer) answers.set(path, answer);
    }
    const open = answered.filter(([, answer]) => answer?.state !== 'present').map(([path]) => path);
    const references = new Set(open.flatMap((path) => graph.get(path)!.references));
    level = [...references].filter((path) => graph.has(path) && !seen.has(path));
  }
  const doubtful = await leftOutBefore(objects, wanted, answers);
  listed ??= await listNarInfosIfCheaper(objects, doubtful.length);
  return new Map([...answers, ...(await askForEach({ objects, keys }, doubtful, listed, false))]);
}

/** Where each is a request, so many NARs of a level are looked for. */
const NARS_OF_A_LEVEL = 64;

type Asked = readonly (readonly [path: string, answer: Answer | undefined])[];

/** Answers with paths whose NAR is gone as absent ones. */
async function withNars(objects: ObjectStore, asked: Asked): Promise<Asked> {
  const infos = asked.flatMap(([, answer]) => answer?.there ?? []);
  const isLocal = objects.localPath !== undefined;
  const listed = await listNarsIfCheaper(objects, Math.min(infos.length, NARS_OF_A_LEVEL));
  const looked = new Set(isLocal || listed ? infos : infos.slice(0, NARS_OF_A_LEVEL));
  const limit = pLimit(QUERIES_AT_ONCE);
  const look = async (answer: Answer): Promise<Answer> => {
    const { info, there } = answer;
    if (there === undefined || !looked.has(there)) return answer;
    const fault = await limit(() => narFault(objects, there, listed).catch(notKnown));
    return fault ? withoutNar(info, there) : answer;
  };
  return Promise.all(asked.map(async ([path, answer]) => [path, answer && (await look(answer))] as const));
}

/** It is looked at beside the way: what does not concern the push is not to stop it. */
function notKnown(error: unknown): undefined {
  if (error instanceof CarportError && !['E_UNAVAILABLE', 'E_INTERRUPTED'].includes(error.code)) return undefined;
  throw error;
}

/** Of the paths that are vouched for, those that a push with `--skip-signed-by` may not have sent. */
async function leftOutBefore(
  objects: ObjectStore,
  wanted: ReadonlyMap<string, PathInfo>,
  answers: Answers,
): Promise<readonly PathInfo[]> {
  const vouchedFor = [...wanted.values()].filter(({ path }) => !answers.has(path));
  const names = new Set(vouchedFor.flatMap(({ signatures }) => signatures.map(signatureKeyName)));
  const skips = await recordedSkips(objects, [...names]);
  return vouchedFor.filter((info) => isSignedByOneOf(info, skips));
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
