/** The names of a release's files on a forge, where all targets are in one list. */

import { CarportError } from '../../lib/errors.js';

/** A file of a target. */
export interface TargetFile {
  readonly target: string;
  readonly name: string;
  readonly sha256: string;
}

/** What stands behind the last dots of a name: `.tar.gz`, `.zip`; numbers of versions do not. */
const EXTENSION = /(?:\.tar)?\.[A-Za-z][A-Za-z0-9]{0,9}$/;

const PLACEHOLDER = /\{(name|stem|ext|target|version)\}/g;

/**
 * The name of each file. Without a pattern that is its own, and where several targets have one of that name, with the target
 * before its extension; the same bytes under one name are one file. A pattern has `{name}`, `{stem}`, `{ext}`, `{target}` and
 * `{version}`. Throws `E_USAGE` where two would have one name.
 */
export function assetNames<F extends TargetFile>(
  files: readonly F[],
  version: string,
  pattern?: string,
): ReadonlyMap<string, F> {
  const named = new Map<string, F>();
  for (const file of files) {
    const isAlone = files.every(({ name, sha256 }) => name !== file.name || sha256 === file.sha256);
    const name = nameOf(file, version, pattern ?? (isAlone ? '{name}' : '{stem}-{target}{ext}'));
    const other = named.get(name);
    if (other && other.sha256 !== file.sha256) {
      throw new CarportError(
        'E_USAGE',
        `two files would be called \`${name}\`: of ${other.target} and of ${file.target}`,
        {
          hint: 'take names that differ: `--asset-name "{stem}-{target}{ext}"`',
        },
      );
    }
    if (!other) named.set(name, file);
  }
  return named;
}

/** Throws `E_USAGE` for a pattern that makes no names. */
export function checkPattern(pattern: string): string {
  const rest = pattern.replace(PLACEHOLDER, '');
  if (/^[^{}/\\\x00-\x1f]*$/.test(rest) && pattern !== rest) return pattern;
  throw new CarportError('E_USAGE', `\`${pattern}\` (--asset-name) is no pattern of names`, {
    hint: 'take one such as `{stem}-{target}{ext}`; it may have `{name}`, `{stem}`, `{ext}`, `{target}` and `{version}`',
  });
}

function nameOf({ name, target }: TargetFile, version: string, pattern: string): string {
  const ext = EXTENSION.exec(name)?.[0] ?? '';
  const stem = name.slice(0, name.length - ext.length);
  const parts: Readonly<Record<string, string>> = { name, stem, ext, target, version };
  return pattern.replace(PLACEHOLDER, (_, part: string) => parts[part]!);
}
