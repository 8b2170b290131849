/** What yanks say of versions, also those that are not believed. */

import type { Yank } from './documents/kinds.js';
import { YANKS } from './layout.js';
import type { Found } from './sources/judged.js';
import type { ReleaseSources } from './sources/sources.js';

/** What was said last of whether a version should be used. */
export interface SaidOfVersion {
  /** Whether it should not. */
  readonly isYanked: boolean;
  /** By whom it was said, or that it cannot be read. */
  readonly by: 'trusted' | 'stranger' | 'unreadable';
  /** Nothing where a yank is taken back, or cannot be read. */
  readonly reason: string | null;
  /** Nothing where no trusted key has signed that. */
  readonly time: string | null;
}

/**
 * What yanks say of versions. One that is not believed hides its version all the same, also where it takes a yank back: that
 * may be of somebody who is only not known here. Only a trusted key says that a version can be used after all.
 */
export function yanksByVersion({
  yanks,
  damaged,
}: Pick<ReleaseSources, 'yanks' | 'damaged'>): ReadonlyMap<string, SaidOfVersion> {
  const said = new Map<string, SaidOfVersion>();
  for (const { value } of yanks.filter(({ trusted }) => trusted)) {
    const { version, reason, time } = value;
    said.set(version, { isYanked: reason !== null, by: 'trusted', reason, time });
  }
  for (const found of yanks) {
    const version = versionOf(found.key);
    if (!found.trusted && !isSettled(said.get(version), found)) {
      said.set(version, { isYanked: true, by: 'stranger', reason: found.value.reason, time: null });
    }
  }
  for (const key of damaged.filter((each) => each.startsWith(YANKS))) {
    const version = versionOf(key);
    if (!said.get(version)?.isYanked) said.set(version, { isYanked: true, by: 'unreadable', reason: null, time: null });
  }
  return said;
}

/** Whether a trusted key has said that it is yanked, or has said something since. */
function isSettled(said: SaidOfVersion | undefined, { value }: Found<Yank>): boolean {
  return said?.by === 'trusted' && (said.isYanked || (said.time !== null && said.time >= value.time));
}

function versionOf(key: string): string {
  return key.slice(YANKS.length).replace(/\.json$/, '');
}
