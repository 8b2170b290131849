/** Copies pins from one cache to another, as they were signed. */

import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { judgeOrigin, type PinPolicy, refusalError } from '../pins/check.js';
import type { Pin } from '../pins/pin.js';
import { readPin, writePin } from '../pins/pins.js';

/** Reads the pins of these names that a trusted key signed. Throws for one that nobody who is trusted has signed. */
export async function readPins(
  from: ObjectStore,
  names: readonly string[],
  policy: PinPolicy,
): Promise<readonly Pin[]> {
  const pins: Pin[] = [];
  for (const name of names) {
    const pin = await readPin(from, name);
    if (pin === undefined) continue;
    const refusal = judgeOrigin(pin, name, policy);
    if (refusal) throw refusalError(refusal, pin, name, from.url);
    pins.push(pin);
  }
  return pins;
}

/** Writes pins where there is none of that name, or an older one of the same line; gives the names of those that were written. */
export async function writePins(
  to: ObjectStore,
  pins: readonly Pin[],
  emit: Emit<WarningEvent>,
): Promise<readonly string[]> {
  const written: string[] = [];
  for (const pin of pins) {
    const there = await readPin(to, pin.name);
    if (there && there.id !== pin.id) {
      const message = `\`${pin.name}\` in \`${to.url}\` is another pin, and stays as it is`;
      emit({ type: 'warning', message });
    } else if (there === undefined || there.updatedAt < pin.updatedAt) {
      await writePin(to, pin);
      written.push(pin.name);
    }
  }
  return written;
}
