/** `_releases.json`, also as Garage's own generator makes it. */

import type { Release, ReleaseIndex } from '../release/catalog/model.js';
import { garageRules } from '../release/catalog/rules.js';
import { compareText } from '../release/catalog/version-order.js';
import type { Channel } from '../release/version.js';
import { encodeKey } from './links.js';

/** Where Garage's own generator says that all files are. */
const GARAGE_URL = 'https://garagehq.deuxfleurs.fr/';

/** A file, as `_releases.json` has it. Keys are in the order of their names, as Nix prints them. */
interface GarageBuild {
  readonly binary: string;
  readonly date: string;
  readonly path: string;
  readonly platform: string;
  readonly root: string;
  readonly size: string;
  readonly time: string;
  readonly url: string;
  readonly version: string;
}

interface GarageRelease {
  readonly builds: readonly GarageBuild[];
  readonly version: string;
}

/** The sections; programs of Garage's users may read any of their words. */
const SECTIONS = [
  {
    channel: 'stable',
    name: 'Release',
    description: 'Release builds are the official builds, they are tailored for productions and are the most tested.',
    hide: false,
    type: 'tag',
  },
  {
    channel: 'extra',
    name: 'Extra',
    description: 'Extra builds are built on demand to test a specific feature or a specific need.',
    hide: true,
    type: 'tag',
  },
  {
    channel: 'development',
    name: 'Development',
    description:
      'Development builds are built periodically. Use them if you want to test a specific feature that is not yet released.',
    hide: true,
    type: 'commit',
  },
] as const;

/** `_releases.json` in the shape of Garage's own, with the releases and their order as they are in the index. */
export function renderGarageJson({ releases }: ReleaseIndex, baseUrl = '/'): Iterable<string> {
  return render(function* (channel) {
    for (const release of releases[channel]) yield toGarageRelease(release, baseUrl);
  });
}

function toGarageRelease({ version, targets }: Release, baseUrl: string): GarageRelease {
  const builds = targets.flatMap(({ target, files }) =>
    files.map(({ name, key, size, time }) => ({
      binary: name,
      date: time.slice(0, 10),
      path: key,
      platform: target,
      root: key.slice(0, key.indexOf('/')),
      size: String(size),
      time: time.slice(11, 19),
      url: baseUrl + encodeKey(key),
      version,
    })),
  );
  return { builds, version };
}

/**
 * `_releases.json` byte for byte as Garage's own generator makes it of the lines of a listing, sidecars and cut keys
 * included. It has no answer to keys of fewer than four parts; here they are left out.
 */
export function renderCompatibleGarageJson(lines: Iterable<string>, baseUrl = GARAGE_URL): Iterable<string> {
  // Of tens of thousands of files only the lines are kept, and not what is made of them.
  const byVersion = new Map<string, ListedRelease>();
  for (const line of lines) {
    const build = parseGarageBuild(line, baseUrl);
    if (!build) continue;
    const { version, date, time } = build;
    const release = byVersion.get(version);
    if (release) release.lines.push(line);
    else byVersion.set(version, { version, date, time, channel: garageRules.channelOf(version), lines: [line] });
  }
  const releases = [...byVersion.values()].sort((a, b) => compareText(a.version, b.version));
  return render(function* (channel) {
    const found = releases.filter((release) => release.channel === channel);
    const ordered = channel === 'stable' ? found.reverse() : found.sort((a, b) => compareTimes(b, a));
    for (const { version, lines: ofVersion } of ordered) {
      yield { builds: ofVersion.flatMap((line) => parseGarageBuild(line, baseUrl) ?? []), version };
    }
  });
}

/** What a version is sorted by: date and time are those of its first file. */
interface ListedRelease {
  readonly version: string;
  readonly date: string;
  readonly time: string;
  readonly channel: Channel;
  readonly lines: string[];
}

/** True for a line that Garage's own generator leaves out without a word, since its key has spaces. */
export function isLeftOutByGarage(line: string): boolean {
  return wordsOf(line).length > 4;
}

function parseGarageBuild(line: string, baseUrl: string): GarageBuild | undefined {
  const words = wordsOf(line);
  if (words.length !== 4) return undefined;
  const [date, time, size, path] = words as [string, string, string, string];
  const [root, version, platform, binary] = path.split('/');
  if (root === undefined || version === undefined || platform === undefined || binary === undefined) return undefined;
  return { binary, date, path, platform, root, size, time, url: baseUrl + path, version };
}

function wordsOf(line: string): readonly string[] {
  return line.split(' ').filter((word) => word !== '');
}

function compareTimes(a: ListedRelease, b: ListedRelease): number {
  return compareText(a.date, b.date) || compareText(a.time, b.time);
}

/** As Nix prints JSON: names in order, no spaces, no newline at the end. */
function* render(releasesOf: (channel: Channel) => Iterable<GarageRelease>): Generator<string> {
  let before = '[';
  for (const { channel, name, description, hide, type } of SECTIONS) {
    yield `${before}{"builds":[`;
    let separator = '';
    for (const release of releasesOf(channel)) {
      yield separator + JSON.stringify(release);
      separator = ',';
    }
    yield `],${JSON.stringify({ description, hide, name, type }).slice(1)}`;
    before = ',';
  }
  yield ']';
}
