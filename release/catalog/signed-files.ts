/** What fragments say of files, by the keys of these. */

import type { Fragment, FragmentFile } from '../documents/kinds.js';
import { fileKey, isSidecar } from '../layout.js';

/** What fragments say of each file, by its key. Files about files are left out: they belong elsewhere. */
export function signedFiles(fragments: readonly Fragment[]): ReadonlyMap<string, FragmentFile> {
  return new Map(
    fragments.flatMap(({ version, target, files }) =>
      files.filter(({ name }) => !isSidecar(name)).map((file) => [fileKey(version, target, file.name), file] as const),
    ),
  );
}
