import pLimit from 'p-limit';
import { CarportError } from '../../lib/errors.js';
import { type PathGraph, reachableFrom, topologicalOrder } from '../../lib/nix/closure.js';
import { hashesEqual } from '../../lib/nix/hash.js';
import { mergeSignatures, type NarInfo, type PathInfo } from '../../lib/nix/narinfo.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { SecretKey } from '../../lib/signing/key.js';
import { signatureKeyName, verifyPath } from '../../lib/signing/signature.js';
import { narSizeIn, readNarInfo } from '../binary-cache.js';
import type { ObjectStore } from '../object-store/object-store.js';
import { listNarInfosIfCheaper } from './presence.js';

/** Narinfos that are asked for at a time. */
const QUERIES_AT_ONCE = 64;

export interface PushPlan {
  /** The whole closure, dependencies first. */
  readonly order: readonly PathInfo[];
  /** What the cache does not have, in that order. */
  readonly upload: readonly PathInfo[];
  /** Narinfos of the same content that lack a signature by one of our keys, in that order. */
  readonly sign: readonly NarInfo[];
  /** Paths that the cache has with other content: their builds are not reproducible. */
  readonly different: readonly string[];
  /** Paths that are left out because another cache has them. */
  readonly skipped: readonly string[];
}

export interface PushRequest {
  readonly graph: PathGraph;
  readonly keys: readonly SecretKey[];
  /** Ask for each path and its NAR, instead of trusting that what is there is complete. */
  readonly checkAll: boolean;
  /** Names of keys: paths that one of them signed are in another cache, and are left out. */
  readonly skipSignedBy: readonly string[];
}

/**
 * Asks the cache what it has. A narinfo is written after those of its references, so one that is there and that our keys
 * signed vouches for its closure, and nothing of that is asked for. So the roots are asked for first, then what the
 * missing ones refer to, and so on; where a listing takes fewer requests, it tells what is missing.
 */
export async function planPush(objects: ObjectStore, request: PushRequest): Promise<PushPlan> {
  const { graph, keys, checkAll, skipSignedBy } = request;
  const order = topologicalOrder(graph);
  const skipped = new Set(order.filter((info) => isSignedByOneOf(info, skipSignedBy)).map(({ path }) => path));
  const wanted = new Map(order.filter(({ path }) => !skipped.has(path)).map((info) => [info.path, info]));
  const answers = checkAll
    ? await askForAll(objects, [...wanted.values()], keys)
    : await askFromRoots(objects, wanted, graph, keys);

  const found = order.map(({ path }) => answers.get(path)).filter((answer) => answer !== undefined);
  const upload = found.filter(({ state }) => state === 'absent').map(({ info }) => info);
  const sign = found.flatMap(({ unsigned }) => unsigned ?? []);
  const different = found.filter(({ state }) => state === 'different').map(({ info }) => info.path);
  await checkReferences(objects, graph, [...upload, ...sign], keys);
  return { order, upload, sign, different, skipped: [...skipped] };
}

interface Answer {
  /** As asked; when its NAR has to be mended, with the signatures that it had. */
  readonly info: PathInfo;
  readonly state: 'absent' | 'present' | 'unsigned' | 'different';
  /** The narinfo to sign. */
  readonly unsigned?: NarInfo;
}

type Answers = ReadonlyMap<string, Answer>;

async function askForAll(
  objects: ObjectStore,
  infos: readonly PathInfo[],
  keys: readonly SecretKey[],
): Promise<Answers> {
  const limit = pLimit(QUERIES_AT_ONCE);
  const answers = await Promise.all(infos.map((info) => limit(() => lookUp(objects, info, keys, true))));
  return new Map(answers.map((answer) => [answer.info.path, answer]));
}

async function askFromRoots(
  objects: ObjectStore,
  wanted: ReadonlyMap<string, PathInfo>,
  graph: PathGraph,
  keys: readonly SecretKey[],
): Promise<Answers> {
  const limit = pLimit(QUERIES_AT_ONCE);
  const answers = new Map<string, Answer>();
  const seen = new Set<string>();
  // What another root needs is vouched for by that.
  let level = uppermost(graph);
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
    const answered = await Promise.all(level.map(async (path) => [path, await ask(path)] as const));
    for (const [path, answer] of answered) {
      seen.add(path);
      if (answer) answers.set(path, answer);
    }
    const open = answered.filter(([, answer]) => answer?.state !== 'present').map(([path]) => path);
    const references = new Set(open.flatMap((path) => graph.get(path)!.references));
    level = [...references].filter((path) => graph.has(path) && !seen.has(path));
  }
  return answers;
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

function isSignedByOneOf({ signatures }: PathInfo, names: readonly string[]): boolean {
  return names.length > 0 && signatures.some((signature) => names.includes(signatureKeyName(signature)));
}

async function lookUp(
  objects: ObjectStore,
  info: PathInfo,
  keys: readonly SecretKey[],
  checkNar: boolean,
): Promise<Answer> {
  const there = await readNarInfo(objects, hashPartOf(info.path));
  if (there === undefined) return { info, state: 'absent' };
  if (there.path !== info.path) {
    throw new CarportError('E_INTEGRITY', `\`${info.path}\` and \`${there.path}\` in the cache have one hash part`);
  }
  const same = sameContent(there, info);
  if (checkNar && !(await hasWholeNar(objects, there))) {
    const signatures = same ? mergeSignatures(info.signatures, there.signatures) : info.signatures;
    return { info: { ...info, signatures }, state: 'absent' };
  }
  // A build that is not reproducible: what is there stays, and we cannot vouch for it.
  if (!same) return { info, state: 'different' };
  if (hasAllSignatures(there, keys)) return { info, state: 'present' };
  return { info, state: 'unsigned', unsigned: there };
}

/** By its size: whether the bytes are right only reading them would tell. */
async function hasWholeNar(objects: ObjectStore, info: NarInfo): Promise<boolean> {
  const there = await narSizeIn(objects, info);
  const size = info.fileSize ?? (info.compression === 'none' ? info.narSize : there);
  return there !== undefined && there === size;
}

function hasAllSignatures(info: NarInfo, keys: readonly SecretKey[]): boolean {
  return keys.every(({ publicKey }) => verifyPath(info, [publicKey]).state === 'valid');
}

function sameContent(a: PathInfo, b: PathInfo): boolean {
  return (
    hashesEqual(a.narHash, b.narHash) &&
    a.narSize === b.narSize &&
    [...a.references].sort().join() === [...b.references].sort().join()
  );
}

/**
 * With `--closure none` some references are not pushed: they must be in the cache, and signed as what is pushed will be,
 * or a path would vouch for a closure that is not complete.
 */
async function checkReferences(
  objects: ObjectStore,
  graph: PathGraph,
  written: readonly PathInfo[],
  keys: readonly SecretKey[],
): Promise<void> {
  const outside = new Map(
    written.flatMap(({ path, references }) =>
      references.filter((reference) => !graph.has(reference)).map((reference) => [reference, path] as const),
    ),
  );
  for (const [reference, path] of outside) {
    const there = await readNarInfo(objects, hashPartOf(reference));
    if (there && hasAllSignatures(there, keys)) continue;
    const why = there ? 'which your key has not signed' : 'which the cache does not have';
    throw new CarportError(there ? 'E_SIGNATURE' : 'E_NOT_FOUND', `\`${path}\` refers to \`${reference}\`, ${why}`, {
      hint: 'push the whole closure: leave `--closure none` out',
    });
  }
}
