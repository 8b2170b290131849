/** Which versions are in no index, and why: they are being made, or will be removed. */

import type { Fragment, Promotion } from '../documents/kinds.js';
import { parseFileKey } from '../layout.js';
import { type ReleaseSources, trusted } from '../sources/sources.js';
import type { ChannelRule } from '../version.js';
import { groupBy } from './group-by.js';
import type { Release } from './model.js';
import { signedFiles } from './signed-files.js';

/** Why a version is in no index: it is being made of another, or will be removed. */
export type HiddenReason = 'promoting' | 'pruning';

/** A release that is in no index. */
export interface HiddenRelease {
  readonly release: Release;
  readonly reason: HiddenReason;
}

/**
 * Versions that are not whole yet, and those that will be removed, each with the reason; of two reasons it is the pruning. An
 * intent or a tombstone that was put back after its work was done hides nothing.
 */
export function hiddenVersions(sources: ReleaseSources): ReadonlyMap<string, HiddenReason> {
  const promotions = trusted(sources.promotions);
  const prunings = trusted(sources.prunings);
  const hidden = new Map<string, HiddenReason>();
  if (promotions.length + prunings.length === 0) return hidden;
  const fragments = groupBy(trusted(sources.fragments), ({ version }) => version);
  for (const intent of promotions) {
    if (!isPromoted(intent, fragments.get(intent.version) ?? [], sources)) hidden.set(intent.version, 'promoting');
  }
  for (const { version, time, deleting } of prunings) {
    const isPutSince = fragments.get(version)?.some(({ changed }) => changed > time);
    if (!isPutSince || deleting) hidden.set(version, 'pruning');
  }
  return hidden;
}

/**
 * Hidden versions of which there is no file: of a promotion that has just begun, or of a pruning that is nearly done. They are
 * releases without targets, in the order of their intents and tombstones.
 */
export function hiddenWithoutFiles(
  sources: ReleaseSources,
  hidden: ReadonlyMap<string, HiddenReason>,
  channelOf: ChannelRule,
): readonly HiddenRelease[] {
  const times = new Map<string, string>();
  for (const { version, time } of trusted(sources.promotions)) times.set(version, time);
  for (const { version, time } of trusted(sources.prunings)) times.set(version, time);
  return [...times].flatMap(([version, time]): readonly HiddenRelease[] => {
    const reason = hidden.get(version);
    if (reason === undefined) return [];
    const release = { version, channel: channelOf(version), time, changed: time, targets: [], missingTargets: [] };
    return [{ release, reason }];
  });
}

/** Whether a promotion has come to its end: every file that is there is of a fragment that it has signed. */
function isPromoted(
  { version, from, time }: Promotion,
  fragments: readonly Fragment[],
  { files }: ReleaseSources,
): boolean {
  if (fragments.length === 0) return false;
  if (!fragments.every(({ promotion, changed }) => promotion?.from === from && changed >= time)) return false;
  const signed = signedFiles(fragments);
  return files.every(({ key, size }) => parseFileKey(key)?.version !== version || signed.get(key)?.size === size);
}
