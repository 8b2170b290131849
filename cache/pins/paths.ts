/** Whether the paths of pins can be pulled, and by whom. */

import { createLimit, mapAtMost } from '../../lib/concurrency.js';
import { CarportError, type ErrorCode, insteadOf } from '../../lib/errors.js';
import { hashPartOf, storeDirOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import { readNarInfo } from '../binary-cache.js';
import { fromFirstThatCan } from '../fallback.js';
import { findPath } from '../find-path.js';
import { requireNar } from '../nars.js';
import { hasAllSignatures } from '../signatures.js';
import type { PinValue } from './pin.js';

/** Why what a pin stands for cannot be pulled. */
export type PathsRefusal = 'paths-missing' | 'paths-untrusted' | 'paths-damaged';

const REFUSALS: Partial<Record<ErrorCode, PathsRefusal>> = {
  E_NOT_FOUND: 'paths-missing',
  E_SIGNATURE: 'paths-untrusted',
  E_INTEGRITY: 'paths-damaged',
  E_FORMAT: 'paths-damaged',
};

/** Paths that are asked for at a time. */
const AT_ONCE = 64;

/**
 * Judges values of pins by their paths: whether a pull from these caches finds each of them, signed by a trusted key, and its
 * NAR. Their closures are not walked: a path that is there vouches for its own.
 */
export function createPathsJudge(caches: readonly ObjectStore[], trust: TrustPolicy) {
  const sources = { caches, trust, emit: () => undefined };
  const limit = createLimit(AT_ONCE);
  const judge = async (path: string): Promise<PathsRefusal | undefined> => {
    try {
      const wanted = { hashPart: hashPartOf(path), path, storeDir: storeDirOf(path) };
      const found = await findPath(caches, wanted, trust, sources.emit);
      await fromFirstThatCan(found, sources, ({ info, objects }) => requireNar(objects, info));
      return undefined;
    } catch (error) {
      const refusal = error instanceof CarportError ? REFUSALS[error.code] : undefined;
      if (refusal) return refusal;
      throw error;
    }
  };
  return async ({ storePaths }: PinValue): Promise<PathsRefusal | undefined> => {
    const refusals = await Promise.all(storePaths.map((path) => limit(() => judge(path))));
    return refusals.find((refusal) => refusal !== undefined);
  };
}

export type PathsJudge = ReturnType<typeof createPathsJudge>;

/** Those of the values that a reader who trusts one of the keys alone could not pull. */
export async function notSignedBy(
  objects: ObjectStore,
  values: readonly PinValue[],
  keys: readonly SecretKey[],
): Promise<readonly PinValue[]> {
  const isSigned = async (path: string) => {
    const info = await readNarInfo(objects, hashPartOf(path)).catch(insteadOf('E_INTEGRITY', undefined));
    return info?.path === path && hasAllSignatures(info, keys);
  };
  const paths = [...new Set(values.flatMap(({ storePaths }) => storePaths))];
  const verdicts = await mapAtMost(AT_ONCE, paths, isSigned);
  const signed = new Set(paths.filter((_, index) => verdicts[index]));
  return values.filter(({ storePaths }) => !storePaths.every((path) => signed.has(path)));
}
