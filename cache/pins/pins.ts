/** Pins in a cache: read, write, remove, list. */

import { CarportError } from '../../lib/errors.js';
import { asWritable, listObjects, type ObjectStore } from '../../lib/object-store/object-store.js';
import { PIN_LIMITS, type Pin, parsePin, renderPin } from './pin.js';

const DIRECTORY = 'carport/pins/';
const ENDING = '.json';

/** A pin changes: readers and proxies ask whether theirs is still the one. */
const METADATA = { contentType: 'application/json', cacheControl: 'no-cache' } as const;

/** The pin of a name as the cache has it, unchecked but for its form; `undefined` when there is none. */
export async function readPin(objects: ObjectStore, name: string): Promise<Pin | undefined> {
  try {
    const bytes = await objects.read(pinKey(name), PIN_LIMITS.bytes);
    return bytes && parsePin(bytes.toString('utf8'));
  } catch (cause) {
    if (!(cause instanceof CarportError) || cause.code !== 'E_FORMAT') throw cause;
    throw new CarportError('E_INTEGRITY', `the pin \`${name}\` in \`${objects.url}\` is damaged`, {
      cause,
      hint: `a newer carport may have written it; if not, whoever may write there can set it anew: \`carport pin set ${name} … --discard-history\``,
    });
  }
}

export async function writePin(objects: ObjectStore, pin: Pin): Promise<void> {
  await objects.put(pinKey(pin.name), Buffer.from(renderPin(pin)), METADATA);
}

export async function removePin(objects: ObjectStore, name: string): Promise<void> {
  await asWritable(objects, 'where nothing can be removed').remove([pinKey(name)]);
}

/** Names of all pins, sorted. */
export async function listPinNames(objects: ObjectStore): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { key } of listObjects(objects, { prefix: DIRECTORY })) {
    if (key.endsWith(ENDING)) names.push(key.slice(DIRECTORY.length, -ENDING.length));
  }
  // Keys are sorted with their ending: `a-b.json` stands before `a.json`.
  return names.sort();
}

function pinKey(name: string): string {
  return `${DIRECTORY}${name}${ENDING}`;
}
