import type { ObjectStore } from '../cache/object-store/object-store.js';
import {
  checkPinName,
  type PinRequest,
  type PinSigning,
  previousPin,
  requirePinKeys,
  setPin,
} from '../cache/pins/set.js';
import type { PushPlan } from '../cache/push/plan.js';
import { CarportError } from '../lib/errors.js';
import type { Emit } from '../lib/events.js';
import { isDerivationPath } from '../lib/nix/derivation/derivation.js';
import type { SecretKey } from '../lib/signing/key.js';
import type { Pinned } from '../lib/store/closure.js';
import type { Context } from './context.js';
import type { PinWriteOptions } from './pin-options.js';
import { pinPolicyOf, pinRequestOf, seenPinsOf } from './pins.js';
import type { Settings } from './settings.js';

/** The pins that are set when a push is done. */
export interface Pinning {
  readonly requests: readonly PinRequest[];
  readonly signing: PinSigning;
}

export interface PinningOptions extends PinWriteOptions {
  /** Names; mostly none. */
  readonly pin?: readonly string[];
}

export function pinningOf(
  { pin = [], ...options }: PinningOptions,
  keys: readonly SecretKey[],
  settings: Settings,
  context: Context,
): Pinning {
  const names = [...new Set(pin)];
  for (const name of names) {
    checkPinName(name);
    requirePinKeys(name, keys);
  }
  const signing = {
    keys,
    policy: pinPolicyOf(settings, { allowRollback: options.allowRollback === true }),
    seen: seenPinsOf(context),
  };
  return { requests: names.map((name) => pinRequestOf(name, options)), signing };
}

/** Throws when a pin cannot be set in a cache. Ask before the work is done. */
export async function checkPins(objects: ObjectStore, { requests, signing }: Pinning): Promise<void> {
  await Promise.all(requests.map((request) => previousPin(objects, request, signing)));
}

/** Throws when the cache will not have what the pins are to stand for, or that is a derivation. */
export function checkPinned({ requests }: Pinning, pinned: Pinned, { skipped }: PushPlan, skipOrigin: string): void {
  const left = new Set(skipped);
  for (const { name } of requests) {
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
  }
}

/** Sets the pins, one after another. */
export async function setPins(
  objects: ObjectStore,
  { requests, signing }: Pinning,
  pinned: Pinned,
  emit: Emit,
): Promise<void> {
  for (const request of requests) {
    const { name, updatedAt } = await setPin(objects, pinned, request, signing);
    emit({ type: 'pin', name, updatedAt, ...pinned });
  }
}
