import { isWebUrl } from '../release/ci.js';
import type { Fragment, FragmentFile, Yank } from '../release/documents.js';
import { fileKey, isSidecar, parseFileKey } from '../release/layout.js';
import { type ReleaseSources, trusted } from '../release/sources.js';
import { isFullCommit } from '../release/version.js';
import { type Entry, entryOf } from './entry.js';
import { CHANNELS, type Channel, type Release, type ReleaseIndex, type ReleaseTarget } from './model.js';
import { compareText } from './order.js';
import type { Rules } from './rules.js';

export interface BuiltIndex {
  readonly index: ReleaseIndex;
  /** What was left out, and why. */
  readonly warnings: readonly string[];
}

/**
 * Makes releases of what a bucket says: its files, and what trusted documents add to them. The same sources give the same
 * releases. A stable release that lacks one of `requiredTargets` says so.
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
  const yanks = new Map(trusted(sources.yanks).map((yank) => [yank.version, yank]));
  const releases: Record<Channel, Release[]> = { stable: [], extra: [], development: [] };
  for (const version of new Set([...entries.keys(), ...[...fragments.keys()].sort(compareText)])) {
    const signed = [...(fragments.get(version) ?? [])].sort((a, b) => compareText(a.target, b.target));
    const release = makeRelease(version, entries.get(version) ?? [], signed, yanks.get(version), rules, warnings);
    if (release) releases[release.channel].push(release);
  }
  for (const channel of CHANNELS) releases[channel].sort((a, b) => rules.compare(channel, a, b));
  const stable = tellMissingTargets(releases.stable, requiredTargets);
  return { index: { releases: { ...releases, stable } }, warnings };
}

/** Versions that are not whole yet, and those that will be removed. */
export function hiddenVersions({ promotions, prunings }: ReleaseSources): ReadonlySet<string> {
  return new Set([...trusted(promotions), ...trusted(prunings)].map(({ version }) => version));
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

/** Nothing when no file is left. */
function makeRelease(
  version: string,
  entries: readonly Entry[],
  fragments: readonly Fragment[],
  yank: Yank | undefined,
  rules: Rules,
  warnings: string[],
): Release | undefined {
  const found = findFiles(entries, fragments, warnings);
  const missing = tellUnlisted(entries, fragments, warnings);
  if (found.length === 0) return undefined;
  const targets = [...groupBy(found, ({ target }) => target)].map(
    ([target, files]): ReleaseTarget => ({
      target,
      files: files.map(({ file }) => file).sort((a, b) => compareText(a.name, b.name)),
    }),
  );
  // What is said of files that are not there does not count.
  const believed = fragments.filter(({ target }) =>
    found.some((each) => each.target === target && each.file.sha256 !== undefined),
  );
  return {
    version,
    channel: rules.channelOf(version),
    time: rules.timeOf(
      found.map(({ file }) => file),
      believed.map(({ time }) => time),
    ),
    targets: targets.sort((a, b) => compareText(a.target, b.target)),
    missingTargets: [],
    ...((missing || found.length < entries.length) && { incomplete: true }),
    ...originOf(version, believed, warnings),
    ...(yank && { yanked: { reason: yank.reason, time: yank.time } }),
  };
}

/** The files of a release, with what is signed about them; without those that are others than what was signed. */
function findFiles(entries: readonly Entry[], fragments: readonly Fragment[], warnings: string[]): readonly Entry[] {
  if (fragments.length === 0) return entries;
  return entries.flatMap((entry) => {
    const { version, target, file } = entry;
    const signed = fragmentFileOf(fragments, target, file.name);
    if (!signed) return [entry];
    const { sha256, storePath } = signed;
    if (signed.size === file.size) {
      return [{ version, target, file: { ...file, sha256, ...(storePath !== null && { storePath }) } }];
    }
    warnings.push(
      `\`${file.key}\` has ${file.size} bytes and not the ${signed.size} that were signed, and is left out`,
    );
    return [];
  });
}

function fragmentFileOf(fragments: readonly Fragment[], target: string, name: string): FragmentFile | undefined {
  return fragments.find((fragment) => fragment.target === target)?.files.find((file) => file.name === name);
}

/** Whether a file is not there that was signed. Files about files belong elsewhere. */
function tellUnlisted(entries: readonly Entry[], fragments: readonly Fragment[], warnings: string[]): boolean {
  if (fragments.length === 0) return false;
  const keys = new Set(entries.map(({ file }) => file.key));
  const missing = fragments.flatMap(({ version, target, files }) =>
    files
      .filter(({ name }) => !isSidecar(name))
      .map(({ name }) => fileKey(version, target, name))
      .filter((key) => !keys.has(key)),
  );
  for (const key of missing) warnings.push(`\`${key}\` was signed and is not there, and is left out`);
  return missing.length > 0;
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
  const known = new Set([
    ...requiredTargets,
    ...releases.flatMap(({ targets }) => targets.map(({ target }) => target)),
  ]);
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
