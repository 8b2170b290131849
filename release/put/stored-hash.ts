/** Whether an object has the bytes that were signed. */

import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { digestOf, type FileDigest } from './local-file.js';

/** The size and hash of an object as it is read; `undefined` when there is none. */
export async function digestOfObject(objects: ObjectStore, key: string): Promise<FileDigest | undefined> {
  const object = await objects.open(key);
  return object && digestOf(object.bytes());
}

/**
 * Whether an object has exactly these bytes. It is read as a stream, and no further than it should go; what is not there
 * has not. `onBytes` is told of each piece how many bytes it has.
 */
export async function hasBytes(
  objects: ObjectStore,
  key: string,
  { size, sha256 }: FileDigest,
  onBytes?: (bytes: number) => void,
): Promise<boolean> {
  const object = await objects.open(key);
  if (!object) return false;
  const found = await digestOf(atMost(object.bytes(), size), onBytes && { onBytes });
  return found.size === size && found.sha256 === sha256;
}

/** The first bytes; more than there should be when there are more. */
async function* atMost(pieces: AsyncIterable<Uint8Array>, limit: number): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const piece of pieces) {
    yield piece;
    size += piece.length;
    if (size > limit) return;
  }
}
