/** Store paths that pins stand for. */

import { listPinNames, readPin } from '../../cache/pins/pins.js';
import { mapAtMost } from '../../lib/concurrency.js';
import { CarportError, hasCode } from '../../lib/errors.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';

/** Pins that are read at a time. */
const AT_ONCE = 16;

/**
 * The store paths that the pins of a bucket stand for, or stood for, each with the name of such a pin. Whether a pin is
 * signed is not asked. Throws `E_INTEGRITY` for one that cannot be read.
 */
export async function readPinnedPaths(objects: ObjectStore): Promise<ReadonlyMap<string, string>> {
  const names = await listPinNames(objects);
  const pins = await mapAtMost(AT_ONCE, names, (name) => readPin(objects, name).catch(refuseDamage));
  const paths = new Map<string, string>();
  for (const [index, name] of names.entries()) {
    const pin = pins[index];
    for (const { storePaths } of pin ? [pin, ...pin.history] : []) {
      for (const path of storePaths) paths.set(path, name);
    }
  }
  return paths;
}

function refuseDamage(cause: unknown): never {
  if (!hasCode(cause, 'E_INTEGRITY')) throw cause;
  throw new CarportError('E_INTEGRITY', 'it is not known what the pins keep: nothing is pruned', {
    cause,
    ...(cause.hint !== undefined && { hint: cause.hint }),
  });
}
