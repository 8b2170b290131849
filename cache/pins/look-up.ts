/** What a pin of a cache says, for looking. */

import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { noSuchPin } from '../pull/targets.js';
import type { PinValue } from './pin.js';
import { readPin } from './pins.js';
import { type PinReference, selectValue } from './reference.js';

/** What a reference means in a cache. Nothing is verified: it is for looking, not for using. Throws `E_NOT_FOUND`. */
export async function lookUpPin(objects: ObjectStore, reference: PinReference): Promise<PinValue> {
  const pin = await readPin(objects, reference.name);
  if (pin === undefined) throw await noSuchPin(reference.name, [objects]);
  return selectValue(pin, reference);
}
