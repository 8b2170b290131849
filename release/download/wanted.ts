/** Which files of a release are downloaded, and where they come to lie. Pure. */

import { CarportError, formatError } from '../../lib/errors.js';
import { suggestion } from '../../lib/suggestion.js';
import { fileKey, isFileName, isTarget } from '../layout.js';
import { isVersion } from '../version.js';
import { matchesWildcard } from '../wildcard.js';
import type { OfferedFile, OfferedRelease } from './offered.js';

/** What of a release is wanted. */
export interface Selection {
  /** All of them where none is named. With one alone, files lie without a directory for it. */
  readonly targets: readonly string[];
  /** Names of files, in which `*` stands for any characters; all files where there is none. */
  readonly names: readonly string[];
}

/** A file that is wanted. */
export interface WantedFile extends OfferedFile {
  readonly target: string;
  /** Of the object. */
  readonly key: string;
  /** Below the directory that files are put into: names that are checked, one of a file, or of a target and a file. */
  readonly parts: readonly string[];
}

/**
 * The files of a release that are wanted, by target and name. Throws `E_NOT_FOUND` for a target that it has not, and where no file
 * has such a name; `E_FORMAT` for names that are none of files, whoever has signed them.
 */
export function wantedFiles(release: OfferedRelease, { targets, names }: Selection): readonly WantedFile[] {
  const { version } = release;
  const known = release.targets.map(({ target }) => target);
  const missing = targets.find((target) => !known.includes(target));
  if (missing !== undefined) {
    throw new CarportError('E_NOT_FOUND', `\`${version}\` has nothing for \`${missing}\``, {
      hint: suggestion(missing, known) ?? `it has ${known.join(', ')}`,
    });
  }
  const isFlat = targets.length === 1;
  const wanted = release.targets
    .filter(({ target }) => targets.length === 0 || targets.includes(target))
    .flatMap(({ target, files }) =>
      files
        .filter(({ name }) => names.length === 0 || names.some((pattern) => matchesWildcard(pattern, name)))
        .map((file): WantedFile => {
          checkNames(version, target, file);
          const parts = isFlat ? [file.name] : [target, file.name];
          return { ...file, target, key: fileKey(version, target, file.name), parts };
        }),
    );
  if (wanted.length > 0) return wanted;
  const some = release.targets.flatMap(({ files }) => files.map(({ name }) => name));
  throw new CarportError('E_NOT_FOUND', `\`${version}\` has no file with such a name`, {
    hint: `it has ${[...new Set(some)].slice(0, 5).join(', ')}; \`*\` stands for any characters`,
  });
}

/** Each is one name of a path, and begins with a letter or a digit: there is no `..`, and nothing that is hidden. */
function checkNames(version: string, target: string, { name, sha256, size }: OfferedFile): void {
  const what = `release \`${version}\``;
  if (!isVersion(version) || !isTarget(target))
    throw formatError(what, 'its version or target is no name of a directory');
  if (!isFileName(name)) throw formatError(what, 'it has a file whose name is none that is downloaded');
  const isSize = Number.isSafeInteger(size) && size >= 0;
  if (!isSize || (sha256 !== undefined && !/^[0-9a-f]{64}$/.test(sha256))) {
    throw formatError(what, `the size or the hash of \`${name}\` is none`);
  }
}
