/** Adds signatures to narinfos that a cache has. (A reader checks them in `find-path.ts`.) */

import { createLimit, inDependencyOrder, mapAtMost } from '../lib/concurrency.js';
import { CarportError, hasCode, insteadOf } from '../lib/errors.js';
import { topologicalOrder } from '../lib/nix/closure.js';
import { hashesEqual } from '../lib/nix/hash.js';
import { type NarInfo, parseNarInfo } from '../lib/nix/narinfo.js';
import { mergeSignatures, type PathInfo } from '../lib/nix/path-info.js';
import { hashPartOf } from '../lib/nix/store-path.js';
import { missingObject, type ObjectStore } from '../lib/object-store/object-store.js';
import type { SecretKey } from '../lib/signing/key.js';
import { signatureKeyName, signPath, verifyPath } from '../lib/signing/signature.js';
import { requireTrusted, type TrustPolicy } from '../lib/signing/trust.js';
import { createRenewal } from './batches/renew.js';
import { readNarInfo, writeNarInfo, writeNarInfoText } from './binary-cache.js';
import { cacheClosure } from './cached-closure.js';
import { listNarsIfCheaper } from './existing-objects.js';
import { narInfoKey } from './layout.js';
import { requireNar } from './nars.js';

/** Whether each of our keys has signed it. */
export function hasAllSignatures(info: PathInfo, keys: readonly SecretKey[]): boolean {
  return keys.every(({ publicKey }) => verifyPath(info, [publicKey]).state === 'valid');
}

/** The narinfo with a signature by each of the keys, and without those of keys of other names. */
export function withSignatures(info: NarInfo, keys: readonly SecretKey[], remove: readonly string[] = []): NarInfo {
  const own = keys.map((key) => signPath(info, key));
  // One signature a key name: readers look a signature up by its name.
  const replaced = [...keys.map(({ name }) => name), ...remove];
  return { ...info, signatures: mergeSignatures(withoutKeys(info.signatures, replaced), own) };
}

function withoutKeys(signatures: readonly string[], names: readonly string[]): readonly string[] {
  return signatures.filter((text) => !names.includes(signatureKeyName(text)));
}

/** Whether a signature of one is a signature of the other. */
export function saySame(a: PathInfo, b: PathInfo): boolean {
  return (
    a.path === b.path &&
    hashesEqual(a.narHash, b.narHash) &&
    a.narSize === b.narSize &&
    [...a.references].sort().join() === [...b.references].sort().join()
  );
}

/**
 * Signs a narinfo where it is, and takes signatures of other keys off it. It is read once more: another may have signed it in
 * the meantime, erased it, or written another, which stays as it is. Gives what it wrote.
 */
export async function addSignatures(
  objects: ObjectStore,
  old: NarInfo,
  keys: readonly SecretKey[],
  remove: readonly string[] = [],
): Promise<NarInfo> {
  const hashPart = hashPartOf(old.path);
  const now = await readNarInfo(objects, hashPart);
  if (now === undefined) throw missingObject(narInfoKey(hashPart), objects.url);
  if (!saySame(now, old)) {
    throw new CarportError('E_INTEGRITY', `the narinfo of \`${old.path}\` in \`${objects.url}\` changed meanwhile`, {
      cause: new Error('somebody has written other content there, which was not signed'),
      hint: 'run it again',
    });
  }
  const signed = withSignatures(now, keys, remove);
  await writeNarInfo(objects, signed);
  return signed;
}

/**
 * Writes the narinfo of a path that the cache lacked when it was looked at. Gives whether another push has written one since: in a
 * directory it gets the signatures of both; a bucket would have to be asked once more for each path.
 */
export async function writeNewNarInfo(objects: ObjectStore, path: string, text: string): Promise<boolean> {
  const there = objects.traits.isImmediate ? await narInfoThere(objects, path) : undefined;
  const own = there && parseNarInfo(text);
  if (!there || !own || !saySame(there, own)) {
    await writeNarInfoText(objects, hashPartOf(path), text);
    return there !== undefined;
  }
  const others = withoutKeys(there.signatures, own.signatures.map(signatureKeyName));
  await writeNarInfo(objects, { ...own, signatures: mergeSignatures(others, own.signatures) });
  return true;
}

/** Signs once more what another push, which did not see ours, has written over. */
export async function signWhatWasLost(
  objects: ObjectStore,
  uploaded: readonly PathInfo[],
  keys: readonly SecretKey[],
): Promise<void> {
  await mapAtMost(AT_ONCE, uploaded, async (info) => {
    const there = await narInfoThere(objects, info.path);
    if (there && saySame(there, info) && !hasAllSignatures(there, keys)) await addSignatures(objects, there, keys);
  });
}

/** What no narinfo is counts as none. */
function narInfoThere(objects: ObjectStore, path: string): Promise<NarInfo | undefined> {
  return readNarInfo(objects, hashPartOf(path)).catch(insteadOf('E_FORMAT', undefined));
}

/** Narinfos that are signed at a time. */
const AT_ONCE = 64;

/**
 * Signs the closures of paths in a cache, all of which must be there and signed by a trusted key: what vouches for it now
 * vouches for it under our keys, too. Signs dependencies first, so that a path that is signed vouches for its closure
 * however this ends. Gives what was signed.
 */
export async function signClosures(
  objects: ObjectStore,
  roots: readonly string[],
  keys: readonly SecretKey[],
  trust: TrustPolicy,
): Promise<readonly string[]> {
  const { graph } = await cacheClosure(objects, roots).catch((cause) => {
    if (!hasCode(cause, 'E_NOT_FOUND')) throw cause;
    throw new CarportError('E_NOT_FOUND', `\`${objects.url}\` has not all that is to be signed`, {
      cause,
      hint: 'pull it from all its caches, and push it from there with each `--secret-key`',
    });
  });
  for (const info of graph.values()) requireTrusted(info, trust, `\`${objects.url}\``);
  // A key vouches for what can be pulled.
  const listed = await listNarsIfCheaper(objects, graph.size);
  await mapAtMost(AT_ONCE, graph.values(), (info) => requireNar(objects, info, listed));
  const order = topologicalOrder(graph).map(({ path }) => graph.get(path)!);
  const unsigned = order.filter((info) => !hasAllSignatures(info, keys)).map(({ path }) => path);
  const limit = createLimit(AT_ONCE);
  const renewal = createRenewal(objects);
  const done = inDependencyOrder(
    unsigned,
    (path) => graph.get(path)!.references,
    {
      prepare: async (path) => graph.get(path)!,
      publish: async (_, info) => renewal.note(await addSignatures(objects, info, keys)),
    },
    { publish: () => limit },
  );
  await renewal.finish(done);
  return unsigned;
}
