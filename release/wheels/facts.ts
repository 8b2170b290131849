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

/** Files of a release without the metadata beside wheels, which is for installers alone. */
export function withoutMetadata<T extends Pick<FragmentFile, 'python'> & { readonly key: string }>(
  files: readonly T[],
): readonly T[] {
  const wheels = files.filter(({ python }) => (python?.metadataSha256 ?? null) !== null);
  const beside = new Set(wheels.map(({ key }) => metadataNameOf(key)));
  return files.filter(({ key }) => !beside.has(key));
}

/** Whether a file is looked at as a wheel or, if its content is that of one, a source distribution. */
export function mayBePython(name: string): boolean {
  return isWheelFile(name) || parseSdistName(name) !== undefined;
}
