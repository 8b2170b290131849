/** Versions that are safe keys, and their channels. */

import { createContext, Script } from 'node:vm';
import { CarportError } from '../lib/errors.js';
import { splitComponent, versionOfTag } from './component.js';

/** The channels, in the order in which they are shown. */
export const CHANNELS = ['stable', 'extra', 'development'] as const;

/** Where a version belongs: `stable` is for everybody, `extra` are other tags, `development` are commits. */
export type Channel = (typeof CHANNELS)[number];

/** Tells the channel of a version. */
export type ChannelRule = (version: string) => Channel;

/** Versions are parts of URLs that people type and paste into shells: no character needs quotes or an escape in either. */
const SAFE_VERSION = /^[0-9A-Za-z][0-9A-Za-z._+~@=,-]*$/;

const MAX_VERSION = 128;

const DEFAULT_STABLE = /^v[0-9]+\.[0-9]+\.[0-9]+$/;

const MAX_PATTERN = 1000;

/** For one version, of processor time. A sound pattern takes a thousandth of that. */
const PATTERN_MILLISECONDS = 500;

/**
 * The rule that tells channels: a commit is `development`, a tag that `stablePattern` matches as a whole is `stable`,
 * another tag `extra`. Of a tag with a component it need match only what follows that. Without a pattern three numbers behind a `v`
 * are stable. `origin` is where the pattern is from, for errors.
 */
export function channelRule(stablePattern?: string, origin = 'stable-pattern'): ChannelRule {
  const isStable = stablePattern === undefined ? matchDefault : patternMatcher(stablePattern, origin);
  return (version) => {
    // Also a tag that looks so: a bare listing could not tell them apart, and Garage's own generator does not.
    if (isFullCommit(version)) return 'development';
    const { proper } = splitComponent(version);
    return isStable(proper) || (proper !== version && isStable(version)) ? 'stable' : 'extra';
  };
}

/** A commit's whole name, as git prints it: 64 digits in repositories with SHA-256, 40 in all others. */
export function isFullCommit(text: string): boolean {
  return /^[0-9a-f]{40}([0-9a-f]{24})?$/.test(text);
}

/** What is said of a text that should be the whole name of a commit. */
export const NO_FULL_COMMIT = 'is not 40 digits of 0-9a-f, nor 64 as in repositories with SHA-256';

/** True for what a version may be: a tag, or the name of a commit. */
export function isVersion(text: string): boolean {
  return faultOf(text) === undefined;
}

/** Throws for a tag that cannot be published as a version: it would not be a safe part of a key, a URL or a command. */
export function checkTag(tag: string, origin: string): void {
  const fault = faultOfTag(tag);
  if (fault === undefined) return;
  throw new CarportError('E_USAGE', `${origin} is no version: \`${shortened(tag)}\` ${fault}`, {
    hint: tag.startsWith('refs/') ? refHint(origin) : CHARACTERS_HINT,
  });
}

/** Throws for a commit that is cut short: it is not the version that another job gives to the same commit. */
export function checkCommit(commit: string, origin: string): void {
  if (isFullCommit(commit)) return;
  throw new CarportError('E_USAGE', `${origin} is no whole commit: \`${shortened(commit)}\` ${NO_FULL_COMMIT}`, {
    hint: 'give the whole one, as `git rev-parse HEAD` prints it, with `--commit`',
  });
}

const CHARACTERS_HINT =
  'name the tag with letters, digits and `.`, `_`, `-`, `+`, `~`, `@`, `=`, `,`, and `/` between names, or give another name with `--tag`';

function refHint(origin: string): string {
  if (origin === '--tag') return 'give the name of the tag alone, such as `--tag v1.2.3`';
  return `Woodpecker 3.13 sets a branch there when one is deployed: \`unset ${origin}\` for a build of the commit, or give \`--tag NAME\``;
}

/** A tag may have slashes, which its version has not. */
function faultOfTag(tag: string): string | undefined {
  if (tag.startsWith('refs/')) return 'is a ref and not the name of a tag';
  const parts = tag.split('/');
  if (parts.length > 1 && parts.some((part) => part === '' || part.startsWith('.'))) {
    return 'has a `/` beside which there is no name';
  }
  return faultOf(versionOfTag(tag));
}

function faultOf(tag: string): string | undefined {
  if (tag === '') return 'is empty';
  if (tag.includes('/')) return 'has a `/`, which would be another directory';
  if (/\s/.test(tag)) return 'has white space';
  if (/^[._-]/.test(tag)) return `begins with \`${tag[0]}\``;
  if (tag.length > MAX_VERSION) return `has ${tag.length} characters, and at most ${MAX_VERSION} are allowed`;
  if (!SAFE_VERSION.test(tag)) return 'has characters that a URL or a shell does not take as they are';
  return undefined;
}

/** Enough to know which it was. */
function shortened(text: string): string {
  const plain = text.replaceAll('\n', '?');
  return plain.length <= 60 ? plain : `${plain.slice(0, 60)}…`;
}

function matchDefault(version: string): boolean {
  return DEFAULT_STABLE.test(version);
}

/** Patterns are somebody's text, and some take years: each match has a time limit, which only another context can have. */
function patternMatcher(pattern: string, origin: string): (version: string) => boolean {
  checkPattern(pattern, origin);
  const input = { pattern: `^(?:${pattern})$`, version: '' };
  const context = createContext(input);
  const script = new Script('new RegExp(pattern, "u").test(version)');
  return (version) => {
    input.version = version;
    try {
      return withinProcessorTime((timeout) => script.runInContext(context, { timeout }) === true);
    } catch (cause) {
      throw new CarportError('E_USAGE', `the pattern \`${pattern}\` (${origin}) takes too long on \`${version}\``, {
        hint: 'take no repetition of what is a repetition itself, such as `(a+)+`',
        cause,
      });
    }
  };
}

/** Tries again while the time was taken by others: on a busy machine a clock tells nothing of a pattern. */
function withinProcessorTime(match: (milliseconds: number) => boolean): boolean {
  const begun = process.cpuUsage();
  for (;;) {
    try {
      return match(PATTERN_MILLISECONDS);
    } catch (error) {
      const { user, system } = process.cpuUsage(begun);
      const isLate = (user + system) / 1000 >= PATTERN_MILLISECONDS;
      if (isLate || (error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
    }
  }
}

/** By itself, before it is put between other characters: `a)|(b` must not become a pattern there. */
function checkPattern(pattern: string, origin: string): void {
  const wrong = (why: string, cause?: unknown) =>
    new CarportError('E_USAGE', `the pattern \`${shortened(pattern)}\` (${origin}) ${why}`, {
      hint: 'give a regular expression for whole tags, such as `v[0-9]+\\.[0-9]+\\.[0-9]+`',
      cause,
    });
  if (pattern === '') throw wrong('is empty');
  if (pattern.length > MAX_PATTERN) throw wrong(`is longer than ${MAX_PATTERN} characters`);
  try {
    new RegExp(pattern, 'u');
  } catch (cause) {
    throw wrong('is no regular expression', cause);
  }
}
