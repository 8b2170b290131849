/** Files that Python's installers take, and what is known of them. */

import { isWheelFile, parseSdistName } from '../../lib/python/file-name.js';
import type { FragmentFile } from '../documents/kinds.js';

/** What a fragment keeps of a wheel or a source distribution that was checked. */
export type PythonFacts = NonNullable<FragmentFile['python']>;

/** What was found in a wheel or a source distribution. */
export interface CheckedPython {
  readonly facts: PythonFacts;
  /** Its `METADATA` or `PKG-INFO`, as it is; that of a wheel is served beside it (PEP 658). */
  readonly document: Uint8Array;
}

const METADATA = '.metadata';

/** The name of the file beside a wheel that has its core metadata (PEP 658). */
export function metadataNameOf(wheel: string): string {
  return `${wheel}${METADATA}`;
}

/** Whether a file is looked at as a wheel or, if its content is that of one, a source distribution. */
export function mayBePython(name: string): boolean {
  return isWheelFile(name) || parseSdistName(name) !== undefined;
}
