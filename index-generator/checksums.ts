/** The files `SHA256SUMS` of releases. */

import type { Release, ReleaseTarget } from '../release/catalog/model.js';

/** `SHA256SUMS`: what `sha256sum -c` takes in a copy of `_releases/<version>/`. Nothing where no hash is known. */
export function renderSums({ targets }: Release): string | undefined {
  return joined(targets.flatMap((each) => linesOf(each, `${each.target}/`)));
}

/** The same for who has the files of one target beside it. */
export function renderTargetSums(target: ReleaseTarget): string | undefined {
  return joined(linesOf(target, ''));
}

export function hasSums({ targets }: Pick<Release, 'targets'>): boolean {
  return targets.some(({ files }) => files.some(({ sha256 }) => sha256 !== undefined));
}

function linesOf({ files }: ReleaseTarget, directory: string): readonly string[] {
  return files.flatMap(({ name, sha256 }) => (sha256 === undefined ? [] : [`${sha256}  ${directory}${name}\n`]));
}

function joined(lines: readonly string[]): string | undefined {
  return lines.length === 0 ? undefined : lines.join('');
}
