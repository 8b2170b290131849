/** Pins in a cache: read, write, remove, list. */

import { hasCode } from '../../lib/errors.js';
import { documentKey, listDocumentNames, putDocument, readDocument } from '../../lib/object-store/documents.js';
import { asWritable, type ObjectStore } from '../../lib/object-store/object-store.js';
import { PINS } from '../layout.js';
import { damagedPin } from './check.js';
import { PIN, PIN_PLACE, type Pin, toDocument, toPin } from './pin.js';

/**
 * The pin of a name as the cache has it, unchecked but for its form; `undefined` when there is none. Throws `E_INTEGRITY` for
 * one that is damaged.
 */
export async function readPin(objects: ObjectStore, name: string): Promise<Pin | undefined> {
  try {
    const document = await readDocument(objects, PIN, documentKey(PINS, name));
    return document && toPin(document);
  } catch (cause) {
    if (!hasCode(cause, 'E_FORMAT')) throw cause;
    throw damagedPin(name, objects.url, cause);
  }
}

/** Writes a pin with the signatures that it has, in place of one that is there. */
export function writePin(objects: ObjectStore, pin: Pin): Promise<void> {
  return putDocument(objects, PIN_PLACE, toDocument(pin));
}

/** Removes a pin; one that is not there is fine. Throws `E_UNSUPPORTED` on a web server. */
export async function removePin(objects: ObjectStore, name: string): Promise<void> {
  await asWritable(objects, 'where nothing can be removed').remove([documentKey(PINS, name)]);
}

/** Names of all pins, sorted. */
export function listPinNames(objects: ObjectStore): Promise<readonly string[]> {
  return listDocumentNames(objects, PINS);
}
