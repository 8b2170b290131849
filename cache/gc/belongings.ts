/** Whose a realisation is, or debugging information: only their content tells. */

import { hasCode } from '../../lib/errors.js';
import { isHashPart } from '../../lib/nix/store-path.js';
import { isKey, type ReadStore } from '../../lib/object-store/object-store.js';
import { collectedKindOf, narKey } from '../layout.js';

/** Such an object has a few hundred bytes; dependencies of a realisation may be more. What is larger nobody can say. */
const LIMIT = 1024 * 1024;

/** A path, or a NAR by its key, that an object belongs to. `unknown`: nobody can say, so it stays. `gone`: it has vanished. */
export type Owner = { readonly hashPart: string } | { readonly narKey: string } | 'unknown' | 'gone';

/** Reads whose an object is. */
export async function ownerOf(objects: ReadStore, key: string): Promise<Owner> {
  const bytes = await objects.read(key, LIMIT).catch(unknownIfRefused);
  if (bytes === undefined) return 'gone';
  if (bytes === 'unknown') return bytes;
  const fields = fieldsOf(bytes.toString('utf8'));
  const { outPath, archive } = fields;
  if (collectedKindOf(key)?.kind === 'realisation') {
    const hashPart = typeof outPath === 'string' ? outPath.slice(outPath.lastIndexOf('/') + 1).slice(0, 32) : '';
    return isHashPart(hashPart) ? { hashPart } : 'unknown';
  }
  // As Nix writes it, it is relative to the directory of the object.
  const nar = typeof archive === 'string' ? archive.replace(/^(\.\.\/)+/, '') : '';
  return isKey(nar) ? { narKey: narKey({ url: nar }) } : 'unknown';
}

function unknownIfRefused(error: unknown): 'unknown' {
  if (hasCode(error, 'E_FORMAT')) return 'unknown';
  throw error;
}

/** What JSON says that should be an object, by anybody. */
function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
