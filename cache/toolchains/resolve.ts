/** What a pin stands for, as a lock has it: paths, and the hashes that a trusted key has signed for them. */

import { mapAtMost } from '../../lib/concurrency.js';
import { CarportError } from '../../lib/errors.js';
import { hashPartOf, storeDirOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { findPath } from '../find-path.js';
import type { PinPolicy } from '../pins/check.js';
import { findPin } from '../pins/find.js';
import type { PinReference } from '../pins/reference.js';
import type { SeenPins } from '../pins/seen.js';
import { noSuchPin } from '../pull/targets.js';
import type { LockedToolchain } from './lock-file.js';

/** Narinfos that are asked for at a time. */
const QUERIES_AT_ONCE = 64;

/** A cache, and what a lock calls it. */
export interface NamedCache {
  readonly objects: ObjectStore;
  readonly name: string;
}

/** What is to be locked. */
export interface Unlocked {
  readonly name: string;
  readonly pin: PinReference;
  /** What is locked now, of the same pin: an older one is a step back. */
  readonly before?: LockedToolchain | undefined;
}

/** How pins and paths are believed. */
export interface ResolveWork {
  readonly policy: PinPolicy;
  readonly seen: SeenPins;
  readonly emit: Emit<WarningEvent>;
}

/**
 * What a pin stands for now. Each of its paths must be signed as the policy says; that its NAR is there is for the pull to
 * see. Throws `E_NOT_FOUND` where no cache has the pin or a path, and what `findPin` throws.
 */
export async function resolveToolchain(
  { name, pin: reference, before }: Unlocked,
  caches: readonly NamedCache[],
  { policy, seen, emit }: ResolveWork,
): Promise<LockedToolchain> {
  const all = caches.map(({ objects }) => objects);
  const found = await findPin(all, reference, policy, seen, emit);
  if (found === undefined) throw await noSuchPin(reference.name, all);
  const { pin, value, objects } = found;
  const cache = caches.find((each) => each.objects === objects)!.name;
  if (before !== undefined && pin.updatedAt < before.updatedAt && !policy.allowRollback) {
    throw new CarportError(
      'E_INTEGRITY',
      `the pin \`${pin.name}\` in \`${objects.url}\` is older than the locked one`,
      {
        cause: new Error(
          `it was written on ${pin.updatedAt}, and \`${name}\` was locked of one of ${before.updatedAt}`,
        ),
        hint: 'somebody serves what was replaced, or the cache was restored, or the lock was changed: if you know why, take it with `--allow-rollback`',
      },
    );
  }
  const paths = await mapAtMost(QUERIES_AT_ONCE, value.storePaths, async (storePath) => {
    const wanted = { hashPart: hashPartOf(storePath), path: storePath, storeDir: storeDirOf(storePath) };
    const { info } = await findPath(all, wanted, policy, emit);
    return { storePath, narHash: info.narHash };
  });
  return { pin: reference.text, cache, since: value.since, updatedAt: pin.updatedAt, paths };
}

/** Whether two locks of a toolchain are of the same content. */
export function isSameContent(one: LockedToolchain, other: LockedToolchain): boolean {
  const contentOf = ({ paths }: LockedToolchain) =>
    JSON.stringify(paths.map(({ storePath, narHash }) => [storePath, [...narHash.digest]]));
  return contentOf(one) === contentOf(other);
}
