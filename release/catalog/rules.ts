/** Channel, time and order of releases: carport's own rules, and Garage's. */

import { type Channel, type ChannelRule, channelRule } from '../version.js';
import type { Release, ReleaseFile } from './model.js';
import { compareText, compareVersions } from './version-order.js';

/** How versions become releases: their channel, their time and their order. */
export interface Rules {
  readonly channelOf: ChannelRule;
  /** Of a release's files, in the order of the listing, and of the times that are signed with some of them. */
  timeOf(files: readonly ReleaseFile[], signed: readonly string[]): string;
  compare(channel: Channel, a: Release, b: Release): number;
}

/** What a project has said of its releases, in settings or in the ledger of its index. */
export interface ProjectRules {
  readonly channelOf: ChannelRule;
  /** Targets that the latest release of a channel must have. */
  readonly requiredTargets: readonly string[];
}

/** Carport's own: stable by the precedence of the versions, the rest by time, newest first. */
export function ownRules(channelOf: ChannelRule = channelRule()): Rules {
  return { channelOf, timeOf: firstTime, compare: comparePrecedenceOrTime };
}

// A second upload of some files does not move the others, and none moves what is signed.
function firstTime(files: readonly ReleaseFile[], signed: readonly string[]): string {
  const times = signed.length > 0 ? signed : files.map(({ time }) => time);
  return times.reduce((first, time) => (time < first ? time : first));
}

function comparePrecedenceOrTime(channel: Channel, a: Release, b: Release): number {
  const byTime = channel === 'stable' ? 0 : compareText(b.time, a.time);
  return byTime || compareVersions(b.version, a.version);
}

/** What Garage's own generator does, faults and all. */
export const garageRules: Rules = {
  channelOf: (version) => {
    // Its regular expressions match bytes, and its dots match any of them: `v0.7.2_2` is stable.
    const bytes = Buffer.from(version).toString('latin1');
    if (/^v[0-9]+.[0-9]+.[0-9]+(.[0-9]+)?$/s.test(bytes)) return 'stable';
    // It knows no commits of SHA-256.
    return /^[0-9a-f]{40}$/.test(bytes) ? 'development' : 'extra';
  },
  timeOf: (files) => files[0]!.time,
  compare: (channel, a, b) =>
    (channel === 'stable' ? 0 : compareText(b.time, a.time)) ||
    compareText(a.version, b.version) * (channel === 'stable' ? -1 : 1),
};
