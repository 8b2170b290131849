/** What keeps paths of a cache: its pins, the pushes that are under way, and what others hand in. */

import { mapAtMost } from '../../lib/concurrency.js';
import { CarportError, hasCode } from '../../lib/errors.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import { documentNames } from '../../lib/object-store/documents.js';
import type { WriteStore } from '../../lib/object-store/object-store.js';
import { narInfoKey, PINS } from '../layout.js';
import { hashPartsIn, type Lease } from '../leases/documents.js';
import { judgeAge, judgeOrigin, type PinPolicy, refusalError } from '../pins/check.js';
import { listPinNames, readPin } from '../pins/pins.js';
import type { SeenPins } from '../pins/seen.js';
import type { Root, RootShare } from './mark.js';

/**
 * Gives roots as they are now, such as those of the releases of a bucket. Throws where they are not known for sure. `listed` are
 * the keys of carport that have just been listed, where they have: what is not among them need not be asked for.
 */
export type RootSource = (objects: WriteStore, listed?: readonly string[]) => Promise<readonly Root[]>;

/** Which pins are believed, and how much of them counts. */
export interface PinRules {
  readonly policy: PinPolicy;
  readonly seen: SeenPins;
  /** Previous values of each pin that are kept, too. */
  readonly history: number;
}

/** Pins that are read at a time. */
const AT_ONCE = 32;

/** What pins keep. Throws for the first that cannot be believed: what it really keeps is not known. */
export async function pinRoots(
  objects: WriteStore,
  rules: PinRules,
  listed?: readonly string[],
): Promise<readonly Root[]> {
  const names = listed ? documentNames(listed, PINS) : await listPinNames(objects);
  const roots = await mapAtMost(AT_ONCE, names, (name) => pinRoot(objects, name, rules));
  return roots.filter((root) => root !== undefined);
}

/** A pin that has expired keeps what it stands for: readers may take it all the same. */
async function pinRoot(
  objects: WriteStore,
  name: string,
  { policy, seen, history }: PinRules,
): Promise<Root | undefined> {
  try {
    const pin = await readPin(objects, name);
    if (pin === undefined) return undefined;
    const known = { ...policy, allowExpired: true };
    const refusal = judgeOrigin(pin, name, known) ?? (await judgeAge(pin, objects.url, known, seen));
    if (refusal) throw refusalError(refusal, pin, name, objects.url);
    const values = [pin, ...pin.history.slice(0, history)];
    const paths = values.flatMap(({ storePaths, derivations }) => [...storePaths, ...derivations]);
    return { kind: 'pin', name, hashParts: new Set(paths.map(hashPartOf)) };
  } catch (cause) {
    if (!hasCode(cause, 'E_INTEGRITY', 'E_SIGNATURE')) throw cause;
    throw new CarportError(cause.code, `it is not known what the pin \`${name}\` keeps: nothing is removed`, {
      cause,
      ...(cause.hint !== undefined && { hint: cause.hint }),
    });
  }
}

/** What the pushes keep that are under way. */
export function leaseRoots(leases: readonly Lease[]): readonly Root[] {
  if (leases.length === 0) return [];
  const hashParts = function* () {
    for (const lease of leases) yield* hashPartsIn(lease);
  };
  return [{ kind: 'lease', name: '', hashParts: { [Symbol.iterator]: hashParts } }];
}

/** Clocks of the servers of a store may differ so much. */
export const SKEW_MS = 60_000;

/**
 * Throws where something is there, from before `time`, that a pin needs and a listing has not shown: the server does not list
 * all, and more may be missing.
 */
export async function requireListed(objects: WriteStore, shares: readonly RootShare[], time: number): Promise<void> {
  const missing = shares.filter(({ kind }) => kind === 'pin').flatMap((share) => share.missing);
  await mapAtMost(AT_ONCE, missing, async (hashPart) => {
    const key = narInfoKey(hashPart);
    const modified = (await objects.stat(key))?.modified;
    if (modified && modified.getTime() < time - SKEW_MS) throw incompleteListing(objects.url, key);
  });
}

/** The error of a listing that lacks what is there. */
export function incompleteListing(url: string, key: string): CarportError {
  return new CarportError('E_INTEGRITY', `the listing of \`${url}\` is not complete: nothing more is removed`, {
    cause: new Error(`\`${key}\` is there, and is not listed`),
    hint: 'a push may have just made it: run it again; if it stays so, the server or a proxy loses parts of its listings',
  });
}
