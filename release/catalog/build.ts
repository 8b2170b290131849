/** The files of a bucket, and what is signed about them, to releases. */

import { aboutKey, aboutVersion, type Notice } from '../../lib/notice.js';
import { componentOf } from '../component.js';
import type { Fragment } from '../documents/kinds.js';
import { parseFileKey } from '../layout.js';
import { type ReleaseSources, trusted } from '../sources/sources.js';
import { CHANNELS, type Channel } from '../version.js';
import { type SaidOfVersion, yanksByVersion } from '../yanked.js';
import { type Entry, entryOf } from './entry.js';
import { groupBy } from './group-by.js';
import { type HiddenReason, type HiddenRelease, hiddenVersions, hiddenWithoutFiles } from './hidden.js';
import { allReleases, type Release, type ReleaseIndex, type ReleaseTarget } from './model.js';
import { notesOf, originOf } from './origin.js';
import type { Rules } from './rules.js';
import { signedFiles } from './signed-files.js';
import { compareText } from './version-order.js';
import { withMetadata } from './wheel-metadata.js';

export interface BuiltIndex {
  readonly index: ReleaseIndex;
  /** Releases that are in no index, by channel in its order, and then those that have no files. */
  readonly hidden: readonly HiddenRelease[];
  /** What was left out, and why. */
  readonly warnings: readonly Notice[];
}

/**
 * Makes releases of what a bucket says: its files, and what trusted documents add to them. The same sources give the same
 * releases. A stable release that lacks one of `requiredTargets` says so. A warning is about a key or a version.
 */
export function buildReleaseIndex(
  sources: ReleaseSources,
  rules: Rules,
  requiredTargets: readonly string[] = [],
): BuiltIndex {
  const warnings = [...sources.warnings];
  const hidden = hiddenVersions(sources);
  const entries = groupBy(readEntries(sources, hidden, warnings), ({ version }) => version);
  const fragments = groupBy(trusted(sources.fragments), ({ version }) => version);
  const yanks = yanksByVersion(sources);
  warnings.push(...tellPromotions(sources, hidden));
  const visible: Record<Channel, Release[]> = { stable: [], extra: [], development: [] };
  const withheld: Record<Channel, Release[]> = { stable: [], extra: [], development: [] };
  for (const version of new Set([...entries.keys(), ...[...fragments.keys()].sort(compareText)])) {
    const said: Said = {
      fragments: [...(fragments.get(version) ?? [])].sort((a, b) => compareText(a.target, b.target)),
      yank: yanks.get(version),
      strippedKeys: sources.strippedKeys,
    };
    const isHidden = hidden.has(version);
    // Of what nobody is shown nobody is warned.
    const release = makeRelease(version, entries.get(version) ?? [], said, rules, isHidden ? [] : warnings);
    if (release) (isHidden ? withheld : visible)[release.channel].push(release);
  }
  const inOrder = (channel: Channel, releases: readonly Release[]) =>
    releases.toSorted((a, b) => rules.compare(channel, a, b));
  const stable = inOrder('stable', visible.stable);
  const releases = {
    stable: tellMissingTargets(stable, stable, requiredTargets),
    extra: inOrder('extra', visible.extra),
    development: inOrder('development', visible.development),
  };
  const withFiles = CHANNELS.flatMap((channel) => inOrder(channel, withheld[channel]));
  const all = [...stable, ...withheld.stable];
  const updated = newest(timesOf(sources, allReleases({ releases })));
  return {
    index: { releases, ...(updated !== undefined && { updated }) },
    hidden: listHidden(sources, tellMissingTargets(withFiles, all), hidden, rules),
    warnings,
  };
}

function listHidden(
  sources: ReleaseSources,
  releases: readonly Release[],
  reasons: ReadonlyMap<string, HiddenReason>,
  { channelOf }: Rules,
): readonly HiddenRelease[] {
  const withoutFiles = new Map(reasons);
  for (const { version } of releases) withoutFiles.delete(version);
  return [
    ...releases.map((release) => ({ release, reason: reasons.get(release.version)! })),
    ...hiddenWithoutFiles(sources, withoutFiles, channelOf),
  ];
}

function tellPromotions(sources: ReleaseSources, hidden: ReadonlyMap<string, HiddenReason>): readonly Notice[] {
  return trusted(sources.promotions)
    .filter(({ version }) => hidden.has(version))
    .map(({ version, from, time }) =>
      aboutVersion(
        version,
        `\`${version}\` is not shown: its promotion from \`${from}\` was begun on ${time} and is not finished`,
      ),
    );
}

/** All files of releases; of hidden ones it is not told what is no file of a release. */
function readEntries(
  { files }: ReleaseSources,
  hidden: ReadonlyMap<string, HiddenReason>,
  warnings: Notice[],
): readonly Entry[] {
  const entries: Entry[] = [];
  const once = keepOnce();
  for (const file of files) {
    const entry = entryOf(file, once);
    if ('file' in entry) entries.push(entry);
    else if (!hidden.has(parseFileKey(file.key)?.version ?? '')) warnings.push(entry);
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
  warnings: Notice[],
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
    component: componentOf(version),
    time,
    changed: newest([time, signed, yank?.time ?? undefined]) ?? time,
    ...(signed !== undefined && { signed }),
    targets: targets.sort((a, b) => compareText(a.target, b.target)),
    missingTargets: [],
    ...(!isWhole && { incomplete: true }),
    ...originOf(version, believed, warnings),
    ...notesOf(believed),
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
  warnings: Notice[],
): FoundFiles {
  const signed = signedFiles(fragments);
  const isStripped = ({ file: { key } }: Entry) => strippedKeys.has(key) && !signed.has(key);
  if (fragments.length === 0 && !entries.some(isStripped)) return { found: entries, isWhole: true };
  const found: Entry[] = [];
  for (const entry of entries) {
    const { file, target } = entry;
    const said = signed.get(file.key);
    const leaveOut = (why: string) => warnings.push(aboutKey(file.key, `\`${file.key}\` ${why}`));
    if (isStripped(entry)) {
      leaveOut('was signed, and what was signed has gone: it is left out until `carport release put` signs it again');
    } else if (!said) {
      leaveOut(`is not signed, as others of \`${version}\` are, and is left out: it is being put, or a stranger's`);
    } else if (said.size !== file.size) {
      leaveOut(`has ${file.size} bytes and not the ${said.size} that were signed, and is left out`);
    } else {
      const { sha256, storePath, promotedAt, python } = said;
      const time = newest([file.time, promotedAt])!;
      const known = { ...(storePath !== null && { storePath }), ...(python && { python }) };
      found.push({ version, target, file: { ...file, time, sha256, ...known } });
    }
  }
  const listed = new Set(entries.map(({ file }) => file.key));
  const missing = [...signed.keys()].filter((key) => !listed.has(key));
  for (const key of missing) warnings.push(aboutKey(key, `\`${key}\` was signed and is not there, and is left out`));
  return { found: withMetadata(found), isWhole: found.length === signed.size && !entries.some(isStripped) };
}

/** The releases, where the stable ones say which targets they lack that others of their component have, or that are required. */
function tellMissingTargets(
  releases: readonly Release[],
  stable: readonly Release[],
  requiredTargets: readonly string[] = [],
): readonly Release[] {
  // What nobody has signed asks nothing of what is signed.
  const isSigned = stable.some(({ signed }) => signed !== undefined);
  const exemplary = stable.filter(({ signed }) => !isSigned || signed !== undefined);
  const known = groupBy(exemplary, ({ component }) => component ?? '');
  return releases.map((release) => {
    if (release.channel !== 'stable') return release;
    const others = known.get(release.component ?? '') ?? [];
    const all = new Set([...requiredTargets, ...others.flatMap(({ targets }) => targets.map(({ target }) => target))]);
    for (const { target } of release.targets) all.delete(target);
    return { ...release, missingTargets: [...all].sort(compareText) };
  });
}

interface Timed {
  readonly time: string;
}

/** Of all that counts when it is asked how new an index is. */
function* timesOf(sources: ReleaseSources, releases: readonly Release[]): Generator<string | undefined> {
  yield sources.updatedBefore;
  for (const { changed } of trusted(sources.fragments)) yield changed;
  for (const documents of [sources.yanks, sources.promotions, sources.prunings]) {
    for (const { time } of trusted<Timed>(documents)) yield time;
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
