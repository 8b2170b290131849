import { isFullCommit } from '../release/version.js';
import type { ListingEntry } from './listing.js';
import type { Channel, Release, ReleaseFile, ReleaseIndex, ReleaseTarget } from './model.js';
import { compareText } from './order.js';
import type { Rules } from './rules.js';

/** Makes releases of the files of a bucket. The same files give the same releases. */
export function buildReleaseIndex(entries: readonly ListingEntry[], rules: Rules): ReleaseIndex {
  const releases: Record<Channel, Release[]> = { stable: [], extra: [], development: [] };
  for (const [version, files] of groupBy(entries, (entry) => entry.version)) {
    const release = makeRelease(version, files, rules);
    releases[release.channel].push(release);
  }
  for (const channel of ['stable', 'extra', 'development'] as const) {
    releases[channel].sort((a, b) => rules.compare(channel, a, b));
  }
  return { releases: { ...releases, stable: tellMissingTargets(releases.stable) } };
}

function makeRelease(version: string, entries: readonly ListingEntry[], rules: Rules): Release {
  const targets = [...groupBy(entries, (entry) => entry.target)].map(
    ([target, files]): ReleaseTarget => ({
      target,
      files: files.map(toFile).sort((a, b) => compareText(a.name, b.name)),
    }),
  );
  return {
    version,
    channel: rules.channelOf(version),
    time: rules.timeOf(entries),
    targets: targets.sort((a, b) => compareText(a.target, b.target)),
    missingTargets: [],
    ...(isFullCommit(version) && { commit: version }),
  };
}

function toFile({ name, key, size, time }: ListingEntry): ReleaseFile {
  return { name, key, size, time };
}

function tellMissingTargets(releases: readonly Release[]): readonly Release[] {
  const known = new Set(releases.flatMap(({ targets }) => targets.map(({ target }) => target)));
  const all = [...known].sort(compareText);
  return releases.map((release) => {
    const here = new Set(release.targets.map(({ target }) => target));
    return { ...release, missingTargets: all.filter((target) => !here.has(target)) };
  });
}

/** In the order in which the keys come first. */
function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}
