/** The pins of a push: checked before it begins, set when it is done. */

import { CarportError } from '../../lib/errors.js';
import { reachableFrom } from '../../lib/nix/closure.js';
import { isDerivationPath } from '../../lib/nix/derivation/derivation.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { verifyPath } from '../../lib/signing/signature.js';
import { withOwnKeys } from '../../lib/signing/trust.js';
import type { Pinned } from '../../lib/store/closure.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { type PinRequest, type PinSigning, previousPin, setPin } from '../pins/set.js';
import type { PinEvent } from './events.js';
import type { PushPlan } from './plan.js';

/** The pins that are set when a push is done. */
export interface PushPins {
  readonly requests: readonly PinRequest[];
  readonly signing: PinSigning;
}

/** Throws when a pin cannot be set in a cache. Ask before the work is done. */
export async function checkPins(objects: ObjectStore, { requests, signing }: PushPins): Promise<void> {
  await Promise.all(requests.map((request) => previousPin(objects, request, signing)));
}

/**
 * Throws when the cache will not have what the pins are to stand for, signed by their keys, or that is a derivation.
 * `skipOrigin` says where the keys were named whose paths the plan leaves out.
 */
export function checkPinned(pins: PushPins, pinned: Pinned, plan: PushPlan, skipOrigin: string): void {
  const left = new Set(plan.skipped);
  for (const { name } of pins.requests) {
    const path = [...pinned.storePaths, ...pinned.derivations].find((one) => left.has(one));
    if (path !== undefined) {
      throw new CarportError('E_USAGE', `\`${name}\` cannot stand for \`${path}\`, which is left out`, {
        cause: new Error(`a key of \`skip-signed-by\` (${skipOrigin}) has signed it: it is another cache's`),
        hint: 'push without `--skip-signed-by`, or set the pin where the path is: `carport pin set NAME PATH --to CACHE`',
      });
    }
    const derivation = pinned.storePaths.find(isDerivationPath);
    if (derivation !== undefined) {
      throw new CarportError(
        'E_USAGE',
        `\`${name}\` would stand for the derivation \`${derivation}\`, and for nothing that can be run`,
        {
          hint: 'build it, and push it with `--closure build`; where its outputs are known only after the build, name them: `carport push ./result --closure build`',
        },
      );
    }
    checkForeign(name, pins.signing, pinned, plan);
  }
}

/** A path that is not reproducible, and that others have pushed, stays as they signed it. */
function checkForeign(
  name: string,
  { keys, policy }: PinSigning,
  { storePaths, derivations }: Pinned,
  { order, foreign }: PushPlan,
): void {
  if (foreign.length === 0) return;
  const own = [...storePaths, ...derivations];
  const closure = reachableFrom(new Map(order.map((info) => [info.path, info])), own);
  const isTrusted = (info: PathInfo) => verifyPath(info, withOwnKeys(policy, keys).keys).state === 'valid';
  const bad = foreign.find((info) => own.includes(info.path) || (closure.has(info.path) && !isTrusted(info)));
  if (bad === undefined) return;
  const key = keys.find(({ publicKey }) => verifyPath(bad, [publicKey]).state !== 'valid');
  throw new CarportError(
    'E_SIGNATURE',
    `\`${name}\` would need \`${bad.path}\`, which is in the cache with other content, not signed by \`${key?.name}\``,
    {
      cause: new Error('its build is not reproducible, and what is in the cache stays'),
      hint: 'pull that path from the cache, and build and push with that; or push to another cache',
    },
  );
}

/** Sets the pins, one after another. The first that cannot be set ends it; those before it stay. */
export async function setPins(
  objects: ObjectStore,
  { requests, signing }: PushPins,
  pinned: Pinned,
  emit: Emit<PinEvent | WarningEvent>,
): Promise<void> {
  for (const request of requests) {
    const { name, updatedAt } = await setPin(objects, pinned, request, { ...signing, emit });
    emit({ type: 'pin', name, updatedAt, ...pinned });
  }
}
