/** The metadata beside wheels: files of the release, of which nobody but installers is told. */

import type { ReleaseFile } from '../sources/candidate.js';
import { metadataNameOf } from '../wheels/facts.js';
import type { Entry } from './entry.js';

/** The files of a release, where wheels have their metadata instead of its being a file beside them. */
export function withMetadata(entries: readonly Entry[]): readonly Entry[] {
  const byKey = new Map(entries.map((entry) => [entry.file.key, entry]));
  const belongings = new Set<Entry>();
  const told = entries.map((entry): Entry => {
    const { file } = entry;
    const sha256 = file.python?.metadataSha256 ?? undefined;
    const beside = sha256 === undefined ? undefined : byKey.get(metadataNameOf(file.key));
    if (!beside) return entry;
    belongings.add(beside);
    return beside.file.sha256 === sha256 ? { ...entry, file: { ...file, hasMetadata: true } } : entry;
  });
  return told.filter((_, index) => !belongings.has(entries[index]!));
}

/** The files of a release that people are to have. */
export function withoutMetadata(files: readonly ReleaseFile[]): readonly ReleaseFile[] {
  const beside = files.flatMap(({ key, python }) => (python?.metadataSha256 ? [metadataNameOf(key)] : []));
  const belongings = new Set(beside);
  return files.filter(({ key }) => !belongings.has(key));
}
