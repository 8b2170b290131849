/** Whether a cache is signed by keys: what it has is looked at, and not what it says of itself. */

import { mapAtMost } from '../../lib/concurrency.js';
import { CarportError } from '../../lib/errors.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import { isListable, type ObjectStore } from '../../lib/object-store/object-store.js';
import type { PublicKey } from '../../lib/signing/key.js';
import { verifyPath } from '../../lib/signing/signature.js';
import { listHashParts, readNarInfo } from '../binary-cache.js';
import { judgeOrigin } from '../pins/check.js';
import { readPin } from '../pins/pins.js';

/** Paths that are looked at. */
const SAMPLES = 8;

/** What was found of the signatures of a cache. */
export interface Proof {
  /** Narinfos that were looked at. */
  readonly checked: number;
  /** Those of the keys that have signed one at least, and it was right. */
  readonly signers: readonly PublicKey[];
  /** Names of keys that stand in signatures. */
  readonly names: readonly string[];
}

/** What is looked at, besides what a listing shows: a pin by its name, or a path by its hash part. */
export type Sample = { readonly pin: string } | { readonly hashPart: string };

/**
 * Looks whether keys have signed some of what a cache has: what is asked for, else the first paths of its listing. A signature that
 * has the name of one of the keys and is wrong is `E_SIGNATURE`.
 */
export async function proveKeys(
  objects: ObjectStore,
  keys: readonly PublicKey[],
  samples: readonly Sample[],
): Promise<Proof> {
  const hashParts = (await Promise.all(samples.map((sample) => hashPartsOf(objects, sample, keys)))).flat();
  if (samples.length === 0 && isListable(objects)) {
    for await (const hashPart of listHashParts(objects)) {
      if (hashParts.push(hashPart) >= SAMPLES) break;
    }
  }
  const infos = await mapAtMost(SAMPLES, hashParts, async (hashPart) => {
    const info = await readNarInfo(objects, hashPart);
    return info === undefined ? [] : [info];
  });
  const all = infos.flat();
  for (const info of all) requireRight(info, keys, objects);
  const signers = keys.filter((key) => all.some((info) => verifyPath(info, [key]).state === 'valid'));
  const names = all.flatMap(({ signatures }) => signatures.map((each) => each.slice(0, each.indexOf(':'))));
  return { checked: all.length, signers, names: [...new Set(names)].sort() };
}

async function hashPartsOf(
  objects: ObjectStore,
  sample: Sample,
  keys: readonly PublicKey[],
): Promise<readonly string[]> {
  if ('hashPart' in sample) return [sample.hashPart];
  const pin = await readPin(objects, sample.pin);
  if (pin === undefined) return [];
  const doubt = judgeOrigin(pin, sample.pin, { keys, allowUnsigned: true });
  if (doubt?.kind === 'wrong-signature') throw wrong(`the pin \`${sample.pin}\``, doubt.keyName, objects);
  return pin.storePaths.slice(0, 1).map(hashPartOf);
}

function requireRight(info: NarInfo, keys: readonly PublicKey[], objects: ObjectStore): void {
  const verdict = verifyPath(info, keys);
  if (verdict.state === 'invalid') throw wrong(`\`${info.path}\``, verdict.keyName, objects);
}

function wrong(what: string, keyName: string, { url }: ObjectStore): CarportError {
  return new CarportError('E_SIGNATURE', `${what} in \`${url}\` is not signed by this key \`${keyName}\``, {
    cause: new Error('a signature has its name, and another key has made it'),
    hint: 'it is the key of another cache, or the cache was tampered with: ask the maintainer',
  });
}
