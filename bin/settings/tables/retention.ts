/**
 * The table `[retention]` of a `carport.toml`: how long releases, paths of caches and images stay. `release prune`, `cache gc`
 * and `image prune` go by it where the command line says nothing.
 */

import { CarportError } from '../../../lib/errors.js';
import { suggestion } from '../../../lib/suggestion.js';
import { matchesWildcard } from '../../../release/wildcard.js';
import { type Context, workingDirectory } from '../../cli/context.js';
import { type FileSettings, readProjectFile, readUserFile } from '../config-file.js';
import { byteSize, duration } from '../parsers.js';
import { placeIn } from './place.js';

/** What stays. Where both are given, what either of them keeps does. */
export interface Keeping {
  /** The newest so many. */
  readonly keep?: number | undefined;
  /** Those that are younger, in milliseconds. */
  readonly within?: number | undefined;
}

/** How releases of one channel stay. */
export interface ReleaseRetention extends Keeping {
  /** All of them: then nothing else is said. */
  readonly forever: boolean;
  /** How long they are out of the index before they are deleted, in milliseconds. */
  readonly grace?: number | undefined;
  /** `FILE:LINE`. */
  readonly place: string;
}

/** What stays in a binary cache beside what is referred to. */
export interface CacheRetention {
  /** What was pushed within this time, in milliseconds. */
  readonly within?: number | undefined;
  /** Bytes beyond which what was pushed least recently goes. */
  readonly maxSize?: number | undefined;
  /** Previous values of each pin. */
  readonly history?: number | undefined;
  readonly place: string;
}

/** Which tags of an image stay. What releases refer to stays whatever is said here. */
export interface ImageRetention extends Keeping {
  /** Patterns of tags that stay forever, in which `*` stands for any characters: `v*`, `latest`. */
  readonly tags: readonly string[];
  readonly place: string;
}

/** What a project, or its user, says of how long things stay. What is not there is not said. */
export interface Retention {
  /** The file that says it. */
  readonly file: string;
  /** Whether that is a project's, which somebody else may have written, and not the user's own. */
  readonly isProject: boolean;
  readonly stable?: ReleaseRetention;
  readonly extra?: ReleaseRetention;
  readonly development?: ReleaseRetention;
  readonly cache?: CacheRetention;
  readonly images?: ImageRetention;
}

/** The table of the project's `carport.toml`, else of the user's own file; nothing where there is none. Throws `E_USAGE`. */
export async function readRetention(context: Pick<Context, 'cwd' | 'env'>): Promise<Retention | undefined> {
  const project = await readProjectFile(workingDirectory(context));
  if (project?.tables.retention !== undefined) return parseRetention(project, true);
  const user = await readUserFile(context.env);
  return user?.tables.retention === undefined ? undefined : parseRetention(user, false);
}

/** Whether a tag is one of those that stay forever. */
export function isKeptTag(tag: string, { tags }: Pick<ImageRetention, 'tags'>): boolean {
  return tags.some((pattern) => matchesWildcard(pattern, tag));
}

type Table = Readonly<Record<string, unknown>>;

/** A table, or what is in it: its names, what it says, and where it is. */
interface At {
  readonly names: readonly string[];
  readonly table: Table;
  place(...more: readonly string[]): string;
}

const TIERS = ['stable', 'extra', 'development', 'cache', 'images'] as const;
type Tier = (typeof TIERS)[number];

const FIELDS: Readonly<Record<Tier, readonly string[]>> = {
  stable: ['forever'],
  extra: ['forever', 'keep', 'days', 'within', 'grace'],
  development: ['forever', 'keep', 'days', 'within', 'grace'],
  cache: ['days', 'within', 'max-size', 'history'],
  images: ['tags', 'keep', 'days', 'within'],
};

/** The table as it was read. Throws `E_USAGE`, with the line, for what is unknown, wrong, or contradicts itself. */
export function parseRetention({ file, text, tables }: FileSettings, isProject: boolean): Retention {
  const root = asTable(tables.retention, ['retention'], (...names) => placeIn(file, text, names));
  const tiers = Object.keys(root.table).map((name) => {
    const tier = TIERS.find((each) => each === name);
    if (tier === undefined) {
      throw wrong(`\`[retention]\` has no tier \`${name}\``, root.place(name), suggestion(name, [...TIERS]));
    }
    const at = asTable(root.table[name], ['retention', name], (...names) => placeIn(file, text, names));
    checkFields(tier, at);
    return [tier, PARSE[tier](at)] as const;
  });
  return { file, isProject, ...Object.fromEntries(tiers) };
}

function asTable(value: unknown, names: readonly string[], placeOf: (...names: readonly string[]) => string): At {
  const place = (...more: readonly string[]) => placeOf(...names, ...more);
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)) {
    return { names, table: value as Table, place };
  }
  throw wrong(
    `\`${names.join('.')}\` is no table`,
    place(),
    'write `[retention.development]`, and below it `keep = 10`',
  );
}

function checkFields(tier: Tier, { table, place }: At): void {
  const fields = Object.keys(table);
  const unknown = fields.find((field) => !FIELDS[tier].includes(field));
  if (unknown !== undefined && tier === 'stable') {
    throw wrong(
      `\`retention.stable\` has \`${unknown}\`, but stable releases are never removed`,
      place(unknown),
      'leave it out; `release yank` says of one that it should not be used',
    );
  }
  if (unknown !== undefined) {
    throw wrong(
      `\`retention.${tier}\` has the unknown field \`${unknown}\``,
      place(unknown),
      suggestion(unknown, [...FIELDS[tier]]),
    );
  }
  if (fields.length === 0)
    throw wrong(`\`retention.${tier}\` says nothing`, place(), `it has ${FIELDS[tier].join(', ')}`);
}

const PARSE: { readonly [T in Tier]: (at: At) => NonNullable<Retention[T]> } = {
  stable: parseStable,
  extra: parseReleases,
  development: parseReleases,
  cache: ({ place, ...at }) => ({
    within: withinOf({ place, ...at }),
    maxSize: textOf({ place, ...at }, 'max-size', byteSize),
    history: numberOf({ place, ...at }, 'history', 1000),
    place: place(),
  }),
  images: (at) => ({
    tags: tagsOf(at),
    keep: numberOf(at, 'keep', 1_000_000),
    within: withinOf(at),
    place: at.place(),
  }),
};

function parseStable(at: At): ReleaseRetention {
  if (at.table.forever === true) return { forever: true, place: at.place() };
  throw wrong('`retention.stable.forever` is not `true`', at.place('forever'), 'stable releases are never removed');
}

function parseReleases(at: At): ReleaseRetention {
  const { table, place } = at;
  const { forever = false } = table;
  if (typeof forever !== 'boolean') {
    throw wrong(`\`${name(at, 'forever')}\` is not \`true\` or \`false\``, place('forever'));
  }
  const other = Object.keys(table).find((field) => field !== 'forever');
  if (forever && other !== undefined) {
    const line = place('forever');
    throw wrong(
      `\`${name(at, other)}\` contradicts \`forever = true\` (${line})`,
      place(other),
      'what stays forever needs no rule: leave one of them out',
    );
  }
  const rules = { keep: numberOf(at, 'keep', 1_000_000), within: withinOf(at), grace: textOf(at, 'grace', duration) };
  if (!forever && rules.keep === undefined && rules.within === undefined) {
    throw wrong(
      `\`${at.names.join('.')}\` does not say which releases stay`,
      place(),
      'add `keep = 10`, `days = 30`, or both',
    );
  }
  return { forever, ...rules, place: place() };
}

const DAY = 86_400_000;

/** `days = 30`, or `within = "12h"`. */
function withinOf(at: At): number | undefined {
  const days = numberOf(at, 'days', 36_500);
  const within = textOf(at, 'within', duration);
  if (days !== undefined && within !== undefined) {
    const line = at.place('days');
    throw wrong(
      `\`${name(at, 'within')}\` and \`${name(at, 'days')}\` (${line}) say the same thing`,
      at.place('within'),
      'leave one of them out',
    );
  }
  return within ?? (days === undefined ? undefined : days * DAY);
}

function numberOf(at: At, field: string, max: number): number | undefined {
  const value = at.table[field];
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw wrong(`\`${name(at, field)}\` is not a number from 0 to ${max}`, at.place(field));
}

function textOf<T>(at: At, field: string, parse: (text: string, place: string) => T): T | undefined {
  const value = at.table[field];
  if (value === undefined) return undefined;
  if (typeof value === 'string') return parse(value, `${name(at, field)} in ${at.place(field)}`);
  throw wrong(`\`${name(at, field)}\` is not a text`, at.place(field), `write it between quotes: \`${field} = "…"\``);
}

/** Characters of the tags of images, and `*`. */
const TAG_PATTERN = /^[\w.*-]{1,128}$/;

function tagsOf(at: At): readonly string[] {
  const { tags = [] } = at.table;
  const list: readonly unknown[] = Array.isArray(tags) ? tags : [tags];
  if (list.every((tag): tag is string => typeof tag === 'string' && TAG_PATTERN.test(tag))) return list;
  throw wrong(`\`${name(at, 'tags')}\` is no list of tags`, at.place('tags'), 'write `tags = ["v*", "latest"]`');
}

function name({ names }: At, field: string): string {
  return [...names, field].join('.');
}

function wrong(message: string, place: string, hint?: string): CarportError {
  return new CarportError('E_USAGE', `${message} (\`${place}\`)`, { hint });
}
