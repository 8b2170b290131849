/** The command `release notes`, and the notes of a version for others that publish it. */

import { join } from 'node:path';
import type { Forge } from '../../../index-generator/links.js';
import { renderCommitNotes } from '../../../index-generator/notes/commits.js';
import { CarportError } from '../../../lib/errors.js';
import { isThere } from '../../../lib/filesystem/exists.js';
import { readBuild } from '../../../release/ci/detect.js';
import { FRAGMENT_LIMITS } from '../../../release/documents/kinds.js';
import { checkNotes, namesVersions, notesOf } from '../../../release/notes.js';
import { readCommits } from '../../../release/steps/commits.js';
import { gitIn } from '../../../release/steps/git.js';
import type { ChannelRule } from '../../../release/version.js';
import { type Context, note, workingDirectory, writeJson, writeLines } from '../../cli/context.js';
import { printable } from '../../cli/printable.js';
import { readText } from '../notes.js';
import { channelRuleOf, forgeOf } from '../settings.js';
import type { NotesCommandOptions } from './command.js';

/** What notes are made of. */
export interface NotesRequest {
  /** Without one it is what will be released next. */
  readonly version?: string | undefined;
  /** The file that they are in; `-` is stdin. */
  readonly file?: string | undefined;
  /** Of commits, though there is a changelog. */
  readonly fromCommits?: boolean;
  /** The tag that commits begin behind. */
  readonly since?: string | undefined;
  /** Where links lead to. */
  readonly forge?: Forge | undefined;
  readonly channelOf: ChannelRule;
}

/** The notes of a version, as Markdown without a line end, and what they were made of. */
export interface ReleaseNotes {
  readonly notes: string;
  readonly from: 'file' | 'commits';
  /** Of a file. */
  readonly file?: string;
  /** Of commits: how many there are, and the tag that they begin behind. */
  readonly commits?: number;
  readonly since?: string;
}

/** A changelog has one of these names, at the top of a checkout. */
const CHANGELOGS = ['CHANGELOG.md', 'Changelog.md', 'changelog.md', 'CHANGES.md', 'HISTORY.md', 'NEWS.md'];

const NEXT = 'unreleased';

/**
 * The notes of a version: of the file that is named; else the section of the changelog of the checkout that the working
 * directory is in; else of the commits since the release before. Throws `E_NOT_FOUND` where the file that is named says nothing
 * of it, or there are no commits, and `E_USAGE` for notes that are too long, or have a secret key in them.
 */
export async function notesFor(request: NotesRequest, context: Context): Promise<ReleaseNotes> {
  const { version = NEXT, file, fromCommits = false, since } = request;
  if (file !== undefined) {
    const found = notesOf(version, await readText(file, context), file === '-' ? 'stdin' : `\`${file}\``);
    if (found.notes !== undefined) return { notes: found.notes, from: 'file', file };
    throw new CarportError('E_NOT_FOUND', found.why, {
      hint: `write \`## ${version}\` and what is new below it, or leave \`--notes-file\` out for notes of the commits`,
    });
  }
  const ofChangelog = fromCommits || since !== undefined ? undefined : await ofChangelogHere(version, context);
  return ofChangelog ?? ofCommits(request, context);
}

async function ofChangelogHere(version: string, context: Context): Promise<ReleaseNotes | undefined> {
  const directory = workingDirectory(context);
  const top = await gitIn(directory, context.env).ask('rev-parse', '--show-toplevel');
  const root = top.exitCode === 0 ? top.stdout : directory;
  for (const name of CHANGELOGS) {
    const file = join(root, name);
    if (!(await isThere(file))) continue;
    const text = await readText(file, context);
    const { notes } = namesVersions(text) ? notesOf(version, text, `\`${name}\``) : {};
    if (notes !== undefined) return { notes, from: 'file', file: name };
  }
  return undefined;
}

async function ofCommits({ version, since, forge, channelOf }: NotesRequest, context: Context): Promise<ReleaseNotes> {
  const git = gitIn(workingDirectory(context), context.env);
  const found = await readCommits(git, { version, since, channelOf });
  if (found.commits.length === 0) {
    const behind = found.since === undefined ? '' : ` since \`${found.since}\``;
    throw new CarportError('E_NOT_FOUND', `there are no commits${behind}, and no changelog says what is new`, {
      hint: '`--since TAG` names an older release, and `--notes-file FILE` a text',
    });
  }
  const notes = renderCommitNotes(found.commits, forge, FRAGMENT_LIMITS.notes);
  checkNotes(notes, 'the messages of the commits');
  return {
    ...{ notes, from: 'commits', commits: found.commits.length },
    ...(found.since !== undefined && { since: found.since }),
  };
}

/** Prints the notes of a version. */
export async function notes(word: string | undefined, options: NotesCommandOptions, context: Context): Promise<void> {
  const { notesFile: file, commits: fromCommits, since, settings } = options;
  if (file !== undefined && (fromCommits || since !== undefined)) {
    throw new CarportError('E_USAGE', '`--notes-file` and `--commits` say different things', {
      hint: 'give one of them: notes have one source',
    });
  }
  const channelOf = channelRuleOf(settings);
  const built = word === undefined ? readBuild(context.env, channelOf, {}) : undefined;
  const version = word ?? built?.tag;
  const found = await notesFor({ version, file, fromCommits, since, forge: forgeOf(settings), channelOf }, context);
  if (options.json) {
    const { notes: text, from, file: name = null, commits = null, since: tag = null } = found;
    return writeJson(context.stdout, { release: version ?? null, notes: text, from, file: name, commits, since: tag });
  }
  await writeLines(context.stdout, found.notes.split('\n').map(printable));
  if (found.from === 'commits') {
    note(
      context,
      options,
      `made of commits since ${found.since === undefined ? 'the first one' : `\`${found.since}\``}`,
    );
  }
}
