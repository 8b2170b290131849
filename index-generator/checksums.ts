/** The files `SHA256SUMS` of releases. */

import type { Release } from '../release/catalog/model.js';

/** `SHA256SUMS`: what `sha256sum -c` takes in a copy of `_releases/<version>/`. Nothing where no hash is known. */
export function renderSums({ targets }: Release): string | undefined {
  const lines = targets.flatMap(({ target, files }) =>
    files.flatMap(({ name, sha256 }) => (sha256 === undefined ? [] : [`${sha256}  ${target}/${name}\n`])),
  );
  return lines.length === 0 ? undefined : lines.join('');
}

export function hasSums({ targets }: Release): boolean {
  return targets.some(({ files }) => files.some(({ sha256 }) => sha256 !== undefined));
}
