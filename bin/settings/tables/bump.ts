/** The table `[bump]` of a project's `carport.toml`: where its version stands, and what tags and branches are called. */

import { dirname } from 'node:path';
import { CarportError } from '../../../lib/errors.js';
import { suggestion } from '../../../lib/suggestion.js';
import type { Place } from '../../../release/steps/places.js';
import { PARTS, type Part } from '../../../release/steps/version-parts.js';
import { type Context, workingDirectory } from '../../cli/context.js';
import { type FileSettings, readProjectFile } from '../config-file.js';
import { placeIn } from './place.js';

/** What a project says of its version. */
export interface BumpTable {
  /** The `carport.toml`, and the directory that it is in. */
  readonly file: string;
  readonly directory: string;
  /** Where the version stands, in the order of the file; none where it is not said. */
  readonly places: readonly Place[];
  /** What a bump increments where nothing else is said. */
  readonly part: Part;
  /** What a tag is called, with `{version}` in it; nothing where it is as it is given. */
  readonly tag: string | undefined;
  /** What a branch is called, with `{version}` in it. */
  readonly branch: string;
  /** Branches that releases are made of, in which `*` stands for any characters; all of them where there is none. */
  readonly branches: readonly string[];
}

const FIELDS = ['files', 'part', 'tag', 'branch', 'branches'];
const PLACE_FIELDS = ['file', 'match', 'key', 'count'];

const MOST_PLACES = 500;
const MOST_TEXT = 10_000;

/** The table of the project that the working directory is in; nothing where there is none. Throws `E_USAGE`, with the line. */
export async function readBumpTable(context: Pick<Context, 'cwd'>): Promise<BumpTable | undefined> {
  const project = await readProjectFile(workingDirectory(context));
  return project?.tables.bump === undefined ? undefined : parseBumpTable(project);
}

/** The table as it was read. Throws `E_USAGE` for what is unknown or wrong. */
function parseBumpTable({ file, text, tables }: FileSettings): BumpTable {
  const at = (...names: readonly string[]) => placeIn(file, text, ['bump', ...names]);
  const { bump: table } = tables;
  if (!isTable(table)) throw wrong('`bump` is no table', at(), 'write `[bump]`, and below it `files = ["VERSION"]`');
  const unknown = Object.keys(table).find((field) => !FIELDS.includes(field));
  if (unknown !== undefined) {
    throw wrong(`\`bump\` has the unknown field \`${unknown}\``, at(unknown), suggestion(unknown, FIELDS));
  }
  const { files = [], part = 'patch', branches = [] } = table;
  const list: readonly unknown[] = Array.isArray(files) ? files : [files];
  if (list.length > MOST_PLACES) throw wrong(`\`bump.files\` names more than ${MOST_PLACES} places`, at('files'));
  const known = PARTS.find((each) => each === part);
  if (known === undefined) {
    throw wrong('`bump.part` is no part of a version', at('part'), `it is one of ${PARTS.join(', ')}`);
  }
  const ofBranches: readonly unknown[] = Array.isArray(branches) ? branches : [branches];
  if (!ofBranches.every((branch): branch is string => typeof branch === 'string' && branch !== '')) {
    throw wrong('`bump.branches` is no list of branches', at('branches'), 'write `branches = ["main"]`');
  }
  return {
    ...{ file, directory: dirname(file), part: known, branches: ofBranches },
    places: list.map((each) => placeOf(each, at('files'))),
    tag: table.tag === undefined ? undefined : templateOf(table.tag, 'bump.tag', at('tag')),
    branch: table.branch === undefined ? 'release-{version}' : templateOf(table.branch, 'bump.branch', at('branch')),
  };
}

function placeOf(value: unknown, place: string): Place {
  if (typeof value === 'string') return { kind: 'whole', file: pathOf(value, place) };
  if (!isTable(value))
    throw wrong('`bump.files` has what is no place', place, 'write `"VERSION"`, or `{ file = "…", match = "…" }`');
  const unknown = Object.keys(value).find((field) => !PLACE_FIELDS.includes(field));
  if (unknown !== undefined) {
    throw wrong(
      `a place of \`bump.files\` has the unknown field \`${unknown}\``,
      place,
      suggestion(unknown, PLACE_FIELDS),
    );
  }
  const file = pathOf(value.file, place);
  const { match, key, count } = value;
  if (match !== undefined && key !== undefined) {
    throw wrong(`\`${file}\` has both \`match\` and \`key\``, place, 'write two places where there are two');
  }
  if (key !== undefined) {
    if (count !== undefined) throw wrong(`\`count\` of \`${file}\` goes with \`match\` only`, place);
    return { kind: 'key', file, keys: keysOf(key, file, place) };
  }
  const times = count ?? 1;
  if (typeof times !== 'number' || !Number.isInteger(times) || times < 1 || times > 10_000) {
    throw wrong(`\`count\` of \`${file}\` is not a number from 1 to 10000`, place);
  }
  if (match === undefined && count === undefined) return { kind: 'whole', file };
  return {
    kind: 'match',
    file,
    template: templateOf(match ?? '{version}', `match of \`${file}\``, place),
    count: times,
  };
}

/** A path within the project: who wrote the file may not choose what else of this machine is changed. */
function pathOf(value: unknown, place: string): string {
  if (typeof value !== 'string' || value === '') {
    throw wrong('a place of `bump.files` names no file', place, 'write `{ file = "VERSION" }`');
  }
  const parts = value.split('/');
  if (
    value.length < MOST_TEXT &&
    !parts.some((part) => part === '' || part === '.' || part === '..' || /[\0\n]/.test(part))
  ) {
    if (parts[0] !== '.git') return value;
  }
  throw wrong(
    `\`${value.slice(0, 200)}\` is no file of the project`,
    place,
    'give its path below carport.toml, without `..`',
  );
}

function keysOf(key: unknown, file: string, place: string): readonly string[] {
  const keys: readonly unknown[] = typeof key === 'string' ? key.split('.') : Array.isArray(key) ? key : [];
  if (keys.length > 0 && keys.every((each): each is string => typeof each === 'string')) return keys;
  throw wrong(
    `\`key\` of \`${file}\` is no key`,
    place,
    'write `key = "project.version"`, or `key = ["packages", "", "version"]`',
  );
}

function templateOf(value: unknown, name: string, place: string): string {
  const isText = typeof value === 'string' && value.length <= MOST_TEXT;
  if (isText && value.split('{version}').length === 2) return value;
  throw wrong(
    `\`${name.replaceAll('`', '')}\` does not have \`{version}\` in it, once`,
    place,
    'write the text around it as it is: `version = "{version}"`',
  );
}

function isTable(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function wrong(message: string, place: string, hint?: string): CarportError {
  return new CarportError('E_USAGE', `${message} (\`${place}\`)`, { hint });
}
