/** Writes the realisations of pushed paths into a cache: without them Nix does not find there what content-addressed derivations have made. */

import { mapAtMost } from '../../lib/concurrency.js';
import { insteadOf } from '../../lib/errors.js';
import { mergeSignatures } from '../../lib/nix/path-info.js';
import {
  type Realisation,
  realisationFingerprint,
  renderRealisation,
  traceFingerprint,
} from '../../lib/nix/realisation.js';
import { hashPartOf, storeDirOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import { signatureKeyName, signText } from '../../lib/signing/signature.js';
import type { FoundRealisation } from '../../lib/store/realisations.js';
import { createRenewal, type Renewal } from '../batches/renew.js';
import { readNarInfo, writeNarInfo } from '../binary-cache.js';
import {
  readRealisation,
  readTrace,
  realisationIdsOf,
  withRealisationIds,
  writeRealisation,
  writeTrace,
} from './objects.js';

/** Realisations that are written at a time. */
const AT_ONCE = 64;

/**
 * Writes realisations, signed by our keys, when their paths are visible: what Nix is led to is there. One of another path,
 * which the cache has already, is replaced: its build is not reproducible, and what was built here is what is pushed here.
 */
export async function publishRealisations(
  objects: ObjectStore,
  realisations: readonly FoundRealisation[],
  keys: readonly SecretKey[],
): Promise<void> {
  await mapAtMost(AT_ONCE, realisations, (each) => publish(objects, each, keys));
  const ids = new Map<string, string[]>();
  for (const { id, outPath } of realisations) ids.set(outPath, [...(ids.get(outPath) ?? []), id]);
  const renewal = createRenewal(objects);
  await renewal.finish(mapAtMost(AT_ONCE, ids, ([path, known]) => tellIds(objects, path, known, renewal)));
}

async function publish(objects: ObjectStore, found: FoundRealisation, keys: readonly SecretKey[]): Promise<void> {
  const { traced, traceSignatures = [], ...realisation } = found;
  const { id, outPath } = realisation;
  const storeDir = storeDirOf(outPath);
  const there = await readRealisation(objects, id, storeDir).catch(insteadOf('E_INTEGRITY', undefined));
  const isSame = there?.outPath === outPath;
  // Without a key there is nothing to add.
  if (keys.length > 0 || !isSame) {
    const signed = signRealisation(realisation, isSame ? there : undefined, keys);
    if (there === undefined || renderRealisation(there) !== renderRealisation(signed)) {
      await writeRealisation(objects, signed);
    }
  }
  if (traced === undefined) return;
  const trace = await readTrace(objects, traced, storeDir);
  const known = trace?.outPath === outPath ? trace.signatures : [];
  const others = mergeSignatures(known, traceSignatures);
  const signatures = withSignatures(others, traceFingerprint(traced, outPath), keys);
  if (trace?.outPath === outPath && signatures.join() === known.join()) return;
  await writeTrace(objects, traced, outPath, signatures);
}

/**
 * What Nix's versions know of dependencies differs, and signatures cover it: ours name none, as of the newest, unless others have
 * signed it with them. Without a key of ours it stays as it is, with the signatures that it has.
 */
function signRealisation(
  realisation: Realisation,
  there: Realisation | undefined,
  keys: readonly SecretKey[],
): Realisation {
  if (keys.length === 0) return realisation;
  const ofOthers = (one: Realisation | undefined) => (one?.signatures ?? []).filter((each) => isForeign(each, keys));
  // What readers of the cache trust already comes first.
  const signed = [there, realisation].find((one) => ofOthers(one).length > 0);
  const base = signed ?? { ...realisation, dependentRealisations: {} };
  const text = realisationFingerprint(base);
  const alike = [there, realisation].filter((one) => one !== undefined && realisationFingerprint(one) === text);
  return { ...base, signatures: withSignatures(alike.flatMap(ofOthers), text, keys) };
}

/** One signature a key name: those of our keys are made anew. */
function withSignatures(others: readonly string[], text: string, keys: readonly SecretKey[]): readonly string[] {
  return mergeSignatures(
    others.filter((signature) => isForeign(signature, keys)),
    keys.map((key) => signText(text, key)),
  );
}

function isForeign(signature: string, keys: readonly SecretKey[]): boolean {
  return keys.every(({ name }) => name !== signatureKeyName(signature));
}

/** Has the narinfo of a path tell its realisations. It is read again: another may have changed it, or erased it. */
async function tellIds(objects: ObjectStore, path: string, ids: readonly string[], renewal: Renewal): Promise<void> {
  const info = await readNarInfo(objects, hashPartOf(path));
  if (info === undefined || info.path !== path) return;
  const known = realisationIdsOf(info);
  if (ids.every((id) => known.includes(id))) return;
  const told = withRealisationIds(info, ids);
  await writeNarInfo(objects, told);
  renewal.note(told);
}
