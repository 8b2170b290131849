/** The files of a bucket, and what is signed about them, to releases. */

import { isWebUrl } from '../ci/detect.js';
import type { Fragment, FragmentFile, Promotion } from '../documents/kinds.js';
import { fileKey, isSidecar, parseFileKey } from '../layout.js';
import { type ReleaseSources, trusted } from '../sources/sources.js';
import { isFullCommit } from '../version.js';
import { type SaidOfVersion, yanksByVersion } from '../yanked.js';
import { type Entry, entryOf } from './entry.js';
import { allReleases, CHANNELS, type Channel, type Release, type ReleaseIndex, type ReleaseTarget } from './model.js';
import type { Rules } from './rules.js';
import { compareText } from './version-order.js';

export interface BuiltIndex {
  readonly index: ReleaseIndex;
  /** What was left out, and why. */
  readonly warnings: readonly string[];
}

/**
 * Makes releases of what a bucket says: its files, and what trusted documents add to them. The same sources give the same
 * releases. A stable release that lacks one of `requiredTargets` says so. A warning begins with the key or the version that
 * it is about.
 */
export function buildReleaseIndex(
  sources: ReleaseSources,
  rules: Rules,
  requiredTargets: readonly string[] = [],
): BuiltIndex {
  const warnings = [...sources.warnings];
  const hidden = hiddenVersions(sources);
  const entries = groupBy(readEntries(sources, hidden, warnings), ({ version }) => version);
  const fragments = groupBy(
    trusted(sources.fragments).filter(({ version }) => !hidden.has(version)),
    ({ version }) => version,
  );
  const yanks = yanksByVersion(sources);
  for (const { version, from, time } of trusted(sources.promotions)) {
    if (hidden.has(version)) {
      warnings.push(
        `\`${version}\` is not shown: its promotion from \`${from}\` was begun on ${time} and is not finished`,
      );
    }
  }
  const releases: Record<Channel, Release[]> = { stable: [], extra: [], development: [] };
  for (const version of new Set([...entries.keys(), ...[...fragments.keys()].sort(compareText)])) {
    const said: Said = {
      fragments: [...(fragments.get(version) ?? [])].sort((a, b) => compareText(a.target, b.target)),
      yank: yanks.get(version),
      strippedKeys: sources.strippedKeys,
    };
    const release = makeRelease(version, entries.get(version) ?? [], said, rules, warnings);
    if (release) releases[release.channel].push(release);
  }
  for (const channel of CHANNELS) releases[channel].sort((a, b) => rules.compare(channel, a, b));
  const index = { releases: { ...releases, stable: tellMissingTargets(releases.stable, requiredTargets) } };
  const updated = newest(timesOf(sources, allReleases(index)));
  return { index: { ...index, ...(updated !== undefined && { updated }) }, warnings };
}

/** Versions that are not whole yet, and those that will be removed. A mark that was put back, after its work was done, hides nothing. */
export function hiddenVersions(sources: ReleaseSources): ReadonlySet<string> {
  const promotions = trusted(sources.promotions);
  const prunings = trusted(sources.prunings);
  if (promotions.length + prunings.length === 0) return new Set();
  const fragments = groupBy(trusted(sources.fragments), ({ version }) => version);
  return new Set([
    ...promotions.flatMap((mark) => (isPromoted(mark, fragments.get(mark.version) ?? [], sources) ? [] : mark.version)),
    ...prunings.flatMap(({ version, time, deleting }) => {
      const isPutSince = fragments.get(version)?.some(({ changed }) => changed > time);
      return isPutSince && !deleting ? [] : version;
    }),
  ]);
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

function readEntries({ files }: ReleaseSources, hidden: ReadonlySet<string>, warnings: string[]): readonly Entry[] {
  const entries: Entry[] = [];
  const once = keepOnce();
  for (const file of files) {
    const entry = entryOf(file, once);
    const version = typeof entry === 'string' ? parseFileKey(file.key)?.version : entry.version;
    if (version !== undefined && hidden.has(version)) continue;
    if (typeof entry === 'string') warnings.push(entry);
    else entries.push(entry);
  }
  return entries;
}

function keepOnce(): (text: string) => string {
  const known = new Map<string, string>();
  return (text) => {
    const first = known.get(text);
    if (first === undefined) known.set(text, text);
    return first ?? text;
  };
}

/** What is said of one version and believed. */
interface Said {
  /** Sorted by target. */
  readonly fragments: readonly Fragment[];
  readonly yank: SaidOfVersion | undefined;
  /** Files that were signed once, of all versions. */
  readonly strippedKeys: ReadonlySet<string>;
}

/** Nothing when no file is left. */
function makeRelease(
  version: string,
  entries: readonly Entry[],
  said: Said,
  rules: Rules,
  warnings: string[],
): Release | undefined {
  const { yank } = said;
  const { found, isWhole } = findFiles(version, entries, said, warnings);
  if (found.length === 0) return undefined;
  const targets = [...groupBy(found, ({ target }) => target)].map(
    ([target, files]): ReleaseTarget => ({
      target,
      files: files.map(({ file }) => file).sort((a, b) => compareText(a.name, b.name)),
    }),
  );
  // What is said of files that are not there does not count.
  const believed = said.fragments.filter(({ target }) => targets.some((each) => each.target === target));
  const signed = newest(believed.map(({ changed }) => changed));
  const time = rules.timeOf(
    found.map(({ file }) => file),
    believed.map((fragment) => fragment.time),
  );
  return {
    version,
    channel: rules.channelOf(version),
    time,
    changed: newest([time, signed, yank?.time ?? undefined]) ?? time,
    ...(signed !== undefined && { signed }),
    targets: targets.sort((a, b) => compareText(a.target, b.target)),
    missingTargets: [],
    ...(!isWhole && { incomplete: true }),
    ...originOf(version, believed, warnings),
    ...(yank?.isYanked && { yanked: yankedBy(yank) }),
  };
}

/** Text that nobody who is trusted has signed is not passed on. */
function yankedBy({ by, reason, time }: SaidOfVersion): NonNullable<Release['yanked']> {
  const isBelieved = by === 'trusted' && reason !== null;
  return { reason: isBelieved ? reason : UNVERIFIED, time: isBelieved ? time : null };
}

const UNVERIFIED = 'there is a yank that could not be verified';

interface FoundFiles {
  readonly found: readonly Entry[];
  /** Whether all that was signed is there. */
  readonly isWhole: boolean;
}

/**
 * The files of a release, with what is signed about them. Where something of it is signed, or was, the rest is left out:
 * jobs sign all that they publish.
 */
function findFiles(
  version: string,
  entries: readonly Entry[],
  { fragments, strippedKeys }: Said,
  warnings: string[],
): FoundFiles {
  const signed = signedFiles(fragments);
  const isStripped = ({ file: { key } }: Entry) => strippedKeys.has(key) && !signed.has(key);
  if (fragments.length === 0 && !entries.some(isStripped)) return { found: entries, isWhole: true };
  const found: Entry[] = [];
  for (const entry of entries) {
    const { file, target } = entry;
    const said = signed.get(file.key);
    const leaveOut = (why: string) => warnings.push(`\`${file.key}\` ${why}`);
    if (isStripped(entry)) {
      leaveOut('was signed, and what was signed has gone: it is left out until `carport release put` signs it again');
    } else if (!said) {
      leaveOut(`is not signed, as others of \`${version}\` are, and is left out: it is being put, or a stranger's`);
    } else if (said.size !== file.size) {
      leaveOut(`has ${file.size} bytes and not the ${said.size} that were signed, and is left out`);
    } else {
      const { sha256, storePath } = said;
      found.push({ version, target, file: { ...file, sha256, ...(storePath !== null && { storePath }) } });
    }
  }
  const listed = new Set(entries.map(({ file }) => file.key));
  const missing = [...signed.keys()].filter((key) => !listed.has(key));
  for (const key of missing) warnings.push(`\`${key}\` was signed and is not there, and is left out`);
  return { found, isWhole: found.length === signed.size && !entries.some(isStripped) };
}

/** By their keys. Files about files belong elsewhere. */
function signedFiles(fragments: readonly Fragment[]): ReadonlyMap<string, FragmentFile> {
  return new Map(
    fragments.flatMap(({ version, target, files }) =>
      files.filter(({ name }) => !isSidecar(name)).map((file) => [fileKey(version, target, file.name), file] as const),
    ),
  );
}

/** Where a release is from: what all its jobs say, else what the first of them says. */
function originOf(
  version: string,
  fragments: readonly Fragment[],
  warnings: string[],
): Pick<Release, 'commit' | 'ci' | 'promotedFrom'> {
  const commits = new Set([
    ...fragments.flatMap(({ commit }) => commit ?? []),
    ...(isFullCommit(version) ? [version] : []),
  ]);
  if (commits.size > 1) {
    warnings.push(`\`${version}\` is of several commits, and none is told: ${[...commits].sort().join(', ')}`);
  }
  const [commit] = commits;
  const first = fragments.toSorted((a, b) => compareText(a.time, b.time))[0];
  const promotion = first?.promotion;
  const sources = new Set(fragments.map((each) => each.promotion?.from));
  if (sources.size > 1) warnings.push(`\`${version}\` is not as a whole of one other release, and none is told`);
  return {
    ...(commit !== undefined && commits.size === 1 && { commit }),
    ...(first && { ci: { ...first.ci, runUrl: webPage(first.ci.runUrl) } }),
    ...(promotion && sources.size === 1 && { promotedFrom: { version: promotion.from, gates: promotion.gates } }),
  };
}

/** Readers may make a link of it. */
function webPage(url: string | null): string | null {
  return url !== null && isWebUrl(url) ? url : null;
}

function tellMissingTargets(releases: readonly Release[], requiredTargets: readonly string[]): readonly Release[] {
  // What nobody has signed asks nothing of what is signed.
  const isSigned = releases.some(({ signed }) => signed !== undefined);
  const exemplary = releases.filter(({ signed }) => !isSigned || signed !== undefined);
  const known = new Set([
    ...requiredTargets,
    ...exemplary.flatMap(({ targets }) => targets.map(({ target }) => target)),
  ]);
  const all = [...known].sort(compareText);
  return releases.map((release) => {
    const here = new Set(release.targets.map(({ target }) => target));
    return { ...release, missingTargets: all.filter((target) => !here.has(target)) };
  });
}

interface Timed {
  readonly time: string;
}

/** Of all that counts when it is asked how new an index is. */
function* timesOf(sources: ReleaseSources, releases: readonly Release[]): Generator<string | undefined> {
  yield sources.updatedBefore;
  for (const { changed } of trusted(sources.fragments)) yield changed;
  for (const marks of [sources.yanks, sources.promotions, sources.prunings]) {
    for (const { time } of trusted<Timed>(marks)) yield time;
  }
  for (const { time, targets } of releases) {
    yield time;
    for (const { files } of targets) for (const file of files) yield file.time;
  }
}

/** Of times of one form. */
function newest(times: Iterable<string | undefined>): string | undefined {
  let last: string | undefined;
  for (const time of times) if (time !== undefined && (last === undefined || time > last)) last = time;
  return last;
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
