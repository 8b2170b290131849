/** What fragments say of files, by the keys of these. */

import type { Fragment, FragmentFile } from '../documents/kinds.js';
import { fileKey, isSidecar } from '../layout.js';

/** What is signed of a file. */
export interface SignedFile extends FragmentFile {
  /** When its release was promoted; what a server says of a copy may be the time of what it is a copy of (rclone). */
  readonly promotedAt?: string;
}

/** What fragments say of each file, by its key. Files about files are left out: they belong elsewhere. */
export function signedFiles(fragments: readonly Fragment[]): ReadonlyMap<string, SignedFile> {
  return new Map(
    fragments.flatMap(({ version, target, time, promotion, files }) =>
      files
        .filter(({ name }) => !isSidecar(name))
        .map(
          (file) => [fileKey(version, target, file.name), { ...file, ...(promotion && { promotedAt: time }) }] as const,
        ),
    ),
  );
}
