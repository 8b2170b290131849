/** Which tags an image gets, by rules: `latest` for the newest stable one, `dev`, the version, the commit. */

import { CarportError } from '../../lib/errors.js';

/** When a tag is given: always, to builds of one channel, to releases (`stable` and `extra`), or to the newest stable one. */
export const TAG_TIMES = ['always', 'stable', 'extra', 'development', 'release', 'newest'] as const;
export type TagTime = (typeof TAG_TIMES)[number];

/** A tag as it is written in a plan. Without a time the tag itself tells. */
export interface TagRule {
  readonly tag: string;
  readonly when?: TagTime | undefined;
}

/** The build that is published, as far as it is known. */
export interface PublishedBuild {
  readonly version?: string | undefined;
  readonly channel?: 'stable' | 'extra' | 'development' | undefined;
  readonly commit?: string | undefined;
}

/** A tag that an image gets. One that does not stay is moved from one image to the next, and not before all others are there. */
export interface ChosenTag {
  readonly tag: string;
  readonly stays: boolean;
  /** Only where no newer stable version is in the repository. */
  readonly onlyNewest: boolean;
}

const SHORT = 7;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

/** Texts that a build has, by the names in braces that stand for them. */
function valuesOf({ version, commit }: PublishedBuild): Readonly<Record<string, string | undefined>> {
  return { version, number: version?.replace(/^v(?=[0-9])/, ''), commit, 'short-commit': commit?.slice(0, SHORT) };
}

/** Puts in what the build has. A name in braces that is none of a build stays as it is. Throws `E_USAGE` for what is not known. */
export function fillIn(
  text: string,
  build: PublishedBuild,
  more: Readonly<Record<string, string | undefined>> = {},
): string {
  const values = { ...valuesOf(build), ...more };
  return text.replace(/\{([a-z-]+)\}/g, (whole, name: string) => {
    if (!Object.hasOwn(values, name)) return whole;
    const value = values[name];
    if (value !== undefined) return value;
    throw new CarportError('E_USAGE', `\`${text}\` wants \`${whole}\`, and it is not known`, {
      hint: 'give `--tag v1.2.3` or `--commit "$(git rev-parse HEAD)"`, or run it where a CI system says what is built',
    });
  });
}

/** Whether rules ask which build it is. */
export function asksForBuild(rules: readonly TagRule[]): boolean {
  return rules.some((rule) => timeOf(rule) !== 'always' || /\{[a-z-]+\}/.test(rule.tag));
}

/** The tags of a build by rules, those first that stay, and `latest` last. */
export function chooseTags(rules: readonly TagRule[], suffix: string, build: PublishedBuild): readonly ChosenTag[] {
  const chosen = rules.flatMap((rule): readonly ChosenTag[] => {
    const time = timeOf(rule);
    if (!isTime(time, build)) return [];
    if (/\{(short-)?commit\}/.test(rule.tag) && build.commit === undefined) return [];
    const stays = /\{[a-z-]+\}/.test(rule.tag);
    const tag = `${fillIn(rule.tag, build).replace(/[@+~=,]/g, '_')}${suffix}`;
    if (!TAG.test(tag)) {
      throw new CarportError('E_USAGE', `\`${tag.slice(0, 200)}\` cannot be a tag`, {
        hint: 'tags have letters, digits, `_`, `.` and `-`, and at most 128 of them',
      });
    }
    return [{ tag, stays, onlyNewest: time === 'newest' }];
  });
  const each = [...new Map(chosen.map((one) => [one.tag, one])).values()];
  return [
    ...each.filter(({ stays }) => stays),
    ...each.filter(({ stays, onlyNewest }) => !stays && !onlyNewest),
    ...each.filter(({ stays, onlyNewest }) => !stays && onlyNewest),
  ];
}

function timeOf({ tag, when }: TagRule): TagTime {
  if (when !== undefined) return when;
  if (tag === 'latest') return 'newest';
  if (tag === 'dev') return 'development';
  return /\{(version|number)\}/.test(tag) ? 'release' : 'always';
}

function isTime(time: TagTime, { channel }: PublishedBuild): boolean {
  if (time === 'always') return true;
  if (time === 'newest') return channel === 'stable';
  if (time === 'release') return channel === 'stable' || channel === 'extra';
  return channel === time;
}

/** What is asked of versions. */
export interface VersionOrder {
  isStable(version: string): boolean;
  /** Below 0 where the first is older. */
  compare(a: string, b: string): number;
}

/**
 * The stable version of a repository's tags that is newer than this one, if any. Tags of variants end in what they are called
 * by; those of others are theirs.
 */
export function newerStable(
  version: string,
  tags: readonly string[],
  { suffix, others }: { readonly suffix: string; readonly others: readonly string[] },
  order: VersionOrder,
): string | undefined {
  const versions = tags.flatMap((tag) => {
    if (!tag.endsWith(suffix) || others.some((other) => other.length > suffix.length && tag.endsWith(other))) return [];
    const text = tag.slice(0, tag.length - suffix.length);
    const found = [text, `v${text}`].find((each) => order.isStable(each));
    return found === undefined || plain(found) === plain(version) ? [] : [found];
  });
  return versions.filter((each) => order.compare(version, each) < 0).sort((a, b) => order.compare(b, a))[0];
}

function plain(version: string): string {
  return version.replace(/^v(?=[0-9])/, '');
}
