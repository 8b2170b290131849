import { createHash } from 'node:crypto';
import type { ObjectStore } from '../cache/object-store/object-store.js';

/**
 * Whether an object has exactly these bytes. It is read as a stream, and no further than it should go; what is not there
 * has not.
 */
export async function hasBytes(
  objects: ObjectStore,
  key: string,
  { size, sha256 }: { readonly size: number; readonly sha256: string },
): Promise<boolean> {
  const object = await objects.get(key);
  if (!object) return false;
  const hash = createHash('sha256');
  let length = 0;
  for await (const piece of object.bytes()) {
    length += piece.length;
    if (length > size) return false;
    hash.update(piece);
  }
  return length === size && hash.digest('hex') === sha256;
}
