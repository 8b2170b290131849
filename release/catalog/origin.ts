/** Where a release is from, and what is new in it, as its jobs say. */

import { aboutVersion, type Notice } from '../../lib/notice.js';
import { isWebUrl } from '../ci/detect.js';
import type { Fragment } from '../documents/kinds.js';
import { isFullCommit } from '../version.js';
import type { Release } from './model.js';
import { compareText } from './version-order.js';

/** Where a release is from: what all its jobs say, else what the first of them says. */
export function originOf(
  version: string,
  fragments: readonly Fragment[],
  warnings: Notice[],
): Pick<Release, 'commit' | 'ci' | 'promotedFrom'> {
  const commits = new Set([
    ...fragments.flatMap(({ commit }) => commit ?? []),
    ...(isFullCommit(version) ? [version] : []),
  ]);
  if (commits.size > 1) {
    const told = [...commits].sort().join(', ');
    warnings.push(aboutVersion(version, `\`${version}\` is of several commits, and none is told: ${told}`));
  }
  const [commit] = commits;
  const first = fragments.toSorted((a, b) => compareText(a.time, b.time))[0];
  const promotion = first?.promotion;
  const sources = new Set(fragments.map((each) => each.promotion?.from));
  if (sources.size > 1) {
    warnings.push(aboutVersion(version, `\`${version}\` is not as a whole of one other release, and none is told`));
  }
  return {
    ...(commit !== undefined && commits.size === 1 && { commit }),
    ...(first && { ci: { ...first.ci, runUrl: webPage(first.ci.runUrl) } }),
    ...(promotion && sources.size === 1 && { promotedFrom: { version: promotion.from, gates: promotion.gates } }),
  };
}

/** Those that were said last. */
export function notesOf(fragments: readonly Fragment[]): Pick<Release, 'notes'> {
  const [last] = fragments
    .filter(({ notes }) => notes !== undefined)
    .sort((a, b) => compareText(b.changed, a.changed) || compareText(a.target, b.target));
  return last?.notes === undefined ? {} : { notes: last.notes };
}

/** Readers may make a link of it. */
function webPage(url: string | null): string | null {
  return url !== null && isWebUrl(url) ? url : null;
}
