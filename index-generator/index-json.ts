import { pathOfKey } from './links.js';
import { CHANNELS, type Channel, type Release, type ReleaseFile, type ReleaseIndex } from './model.js';
import { platformName } from './platform.js';

/** Of the shape of these files. */
const VERSION = 1;

/** A release as programs read it. Nothing is missing: what is not known is `null`. */
export function releaseJson(release: Release, baseUrl: string | undefined) {
  const { version, channel, yanked, time, commit, ci, promotedFrom, targets, missingTargets } = release;
  return {
    version,
    channel,
    state: yanked ? 'yanked' : 'available',
    yanked: yanked ?? null,
    time,
    commit: commit ?? null,
    ci: ci ?? null,
    promotedFrom: promotedFrom ?? null,
    targets: targets.map(({ target, files }) => ({
      target,
      platform: platformName(target),
      files: files.map((file) => fileJson(file, baseUrl)),
    })),
    missingTargets,
  };
}

function fileJson({ name, size, sha256, time, key, storePath }: ReleaseFile, baseUrl: string | undefined) {
  const path = pathOfKey(key);
  return {
    name,
    size,
    sha256: sha256 ?? null,
    time,
    path: key,
    url: baseUrl !== undefined && path !== undefined ? baseUrl + path : null,
    storePath: storePath ?? null,
  };
}

/** `releases/index.json`: a release has a line, so that two of them can be compared as text. */
export function* renderIndexJson(
  index: ReleaseIndex,
  title: string,
  baseUrl: string | undefined,
): Generator<string, undefined> {
  const about = { version: VERSION, title, baseUrl: baseUrl ?? null, updated: lastChange(index) ?? null };
  yield `${JSON.stringify(about).slice(0, -1)},"releases":[`;
  let separator = '\n';
  for (const release of allReleases(index)) {
    yield separator + JSON.stringify(releaseJson(release, baseUrl));
    separator = ',\n';
  }
  yield '\n]}\n';
}

/** `releases/latest/<channel>.json`. */
export function renderLatestJson(channel: Channel, release: Release, baseUrl: string | undefined): string {
  return `${JSON.stringify({ version: VERSION, channel, release: releaseJson(release, baseUrl) })}\n`;
}

/** Of all channels, in their order. */
export function allReleases({ releases }: ReleaseIndex): readonly Release[] {
  return CHANNELS.flatMap((channel) => releases[channel]);
}

/** The newest time of what an index tells, and no clock's; nothing when it tells nothing. */
export function lastChange(index: ReleaseIndex): string | undefined {
  let last: string | undefined;
  for (const { time, yanked, targets } of allReleases(index)) {
    const times = [time, yanked?.time, ...targets.flatMap(({ files }) => files.map((file) => file.time))];
    for (const each of times) if (each !== undefined && (last === undefined || each > last)) last = each;
  }
  return last;
}
