/** What a published index says of the version that runs. Pure. */

import { compareVersions } from '../../release/catalog/version-order.js';
import type { PublishedRelease } from '../../release/sources/published-index.js';

/** The version that runs beside those that are published. */
export interface Comparison {
  readonly state: 'up-to-date' | 'newer' | 'ahead' | 'no-release';
  /** The newest stable release that can be used. */
  readonly newest: PublishedRelease | undefined;
  /** The same, where it is newer than what runs. */
  readonly newer: PublishedRelease | undefined;
  /** Why the version that runs should not be used any more. */
  readonly yanked: string | undefined;
}

/** `own` is as `package.json` has it, without the `v` of tags. */
export function compareWithIndex(own: string, releases: readonly PublishedRelease[]): Comparison {
  const tag = `v${own}`;
  const usable = releases.filter(
    ({ channel, state, component }) => channel === 'stable' && state === 'available' && component === undefined,
  );
  const newest = usable.reduce<PublishedRelease | undefined>(
    (best, each) => (best && compareVersions(best.version, each.version) >= 0 ? best : each),
    undefined,
  );
  const mine = releases.find(({ version }) => version === tag || version === own);
  const yanked = mine?.state === 'yanked' ? (mine.yanked?.reason ?? 'it was withdrawn') : undefined;
  if (!newest) return { state: 'no-release', newest, newer: undefined, yanked };
  const isSame = newest.version === tag || newest.version === own;
  const order = isSame ? 0 : compareVersions(newest.version, tag);
  if (order > 0) return { state: 'newer', newest, newer: newest, yanked };
  return { state: order === 0 ? 'up-to-date' : 'ahead', newest, newer: undefined, yanked };
}
