/** `releases/index.json`, and a release as programs read it. */

import { allReleases, type Release, type ReleaseFile, type ReleaseIndex } from '../release/catalog/model.js';
import type { Channel } from '../release/version.js';
import { pathOfKey } from './links.js';
import { platformName } from './platform.js';

/** Of the shape of these files. */
const VERSION = 1;

/** What is to be said of a release in a word. */
export function stateOf({ yanked, incomplete }: Release): 'available' | 'incomplete' | 'yanked' {
  if (yanked) return 'yanked';
  return incomplete ? 'incomplete' : 'available';
}

/** A release as programs read it. Nothing is missing: what is not known is `null`. */
export function releaseJson(release: Release, baseUrl: string | undefined) {
  const {
    version,
    channel,
    component,
    yanked,
    time,
    signed,
    commit,
    ci,
    promotedFrom,
    targets,
    missingTargets,
    notes,
  } = release;
  return {
    version,
    channel,
    ...(component !== undefined && { component }),
    state: stateOf(release),
    yanked: yanked ?? null,
    time,
    signed: signed !== undefined,
    commit: commit ?? null,
    ci: ci ?? null,
    promotedFrom: promotedFrom ?? null,
    targets: targets.map(({ target, files }) => ({
      target,
      platform: platformName(target),
      files: files.map((file) => fileJson(file, baseUrl)),
    })),
    missingTargets,
    ...(notes !== undefined && { notes }),
  };
}

function fileJson({ name, size, sha256, time, key, storePath, python }: ReleaseFile, baseUrl: string | undefined) {
  const path = pathOfKey(key);
  return {
    name,
    size,
    sha256: sha256 ?? null,
    time,
    path: key,
    url: baseUrl !== undefined && path !== undefined ? baseUrl + path : null,
    storePath: storePath ?? null,
    ...(python && { python }),
  };
}

/** `releases/index.json`: a release has a line, so that two of them can be compared as text. */
export function* renderIndexJson(
  index: ReleaseIndex,
  title: string,
  baseUrl: string | undefined,
): Generator<string, undefined> {
  const about = { version: VERSION, title, baseUrl: baseUrl ?? null, updated: index.updated ?? null };
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
