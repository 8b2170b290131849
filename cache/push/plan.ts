import pLimit from 'p-limit';
import { CarportError } from '../../lib/errors.js';
import { type PathGraph, reachableFrom, topologicalOrder } from '../../lib/nix/closure.js';
import { hashesEqual } from '../../lib/nix/hash.js';
import { mergeSignatures, type NarInfo, type PathInfo } from '../../lib/nix/narinfo.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { SecretKey } from '../../lib/signing/key.js';
import { verifyPath } from '../../lib/signing/signature.js';
import { openNar, readNarInfo } from '../binary-cache.js';
import type { ObjectStore } from '../object-store/object-store.js';

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
}

export interface PushRequest {
  readonly graph: PathGraph;
  readonly roots: readonly string[];
  readonly keys: readonly SecretKey[];
  /** Ask for each path and its NAR, instead of trusting that what is there is complete. */
  readonly checkAll: boolean;
}

/**
 * Asks the cache what it has. A narinfo is written after those of its references, so one that is there and that our keys
 * signed vouches for its closure: when the roots are there, nothing else is asked.
 */
export async function planPush(objects: ObjectStore, request: PushRequest): Promise<PushPlan> {
  const { graph, roots, keys, checkAll } = request;
  const order = topologicalOrder(graph);
  const limit = pLimit(QUERIES_AT_ONCE);
  const ask = (paths: Iterable<PathInfo>) =>
    Promise.all([...paths].map((info) => limit(() => lookUp(objects, info, keys, checkAll))));

  const atRoots = checkAll ? [] : await ask(roots.map((root) => graph.get(root)!));
  const vouching = atRoots.filter(({ state }) => state === 'present').map(({ info }) => info.path);
  const vouched = reachableFrom(graph, vouching);
  const open = order.filter(({ path }) => !vouched.has(path));
  const answers = new Map((await ask(open)).map((answer) => [answer.info.path, answer]));
  const upload = open.map(({ path }) => answers.get(path)!).filter(({ state }) => state === 'absent');
  const sign = open.flatMap(({ path }) => answers.get(path)?.unsigned ?? []);
  const different = open.map(({ path }) => path).filter((path) => answers.get(path)?.state === 'different');
  await checkReferences(objects, graph, [...upload.map(({ info }) => info), ...sign], keys);
  return { order, upload: upload.map(({ info }) => info), sign, different };
}

interface Answer {
  /** As asked; when its NAR has to be mended, with the signatures that it had. */
  readonly info: PathInfo;
  readonly state: 'absent' | 'present' | 'unsigned' | 'different';
  /** The narinfo to sign. */
  readonly unsigned?: NarInfo;
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
  const nar = await openNar(objects, info);
  const size = info.fileSize ?? (info.compression === 'none' ? info.narSize : nar?.size);
  return nar !== undefined && nar.size === size;
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
