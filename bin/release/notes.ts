/** Where the notes of a release are read from: a file, or the message of its tag. */

import { CarportError } from '../../lib/errors.js';
import { runProgram } from '../../lib/process/run.js';
import { notesOf } from '../../release/notes.js';
import { gitEnvironment } from '../../release/promote/gates/environment.js';
import { type Context, workingDirectory } from '../cli/context.js';
import { openSource } from '../cli/source.js';
import { warnPeople } from '../cli/warnings.js';

/** Where notes may be. */
export interface NotesOptions {
  readonly notesFile?: string | undefined;
  readonly notesFromTag?: boolean;
}

/** The version that notes are of, and the tag that may have a message. */
export interface NotesOf {
  readonly version: string;
  readonly tag?: string | undefined;
}

/** Bytes of a changelog. */
const MAX_FILE = 8 * 1024 * 1024;

const GIT_MS = 60_000;

/** Throws `E_USAGE` where it is said twice where notes are. */
export function checkNotesOptions({ notesFile, notesFromTag = false }: NotesOptions): void {
  if (notesFile === undefined || !notesFromTag) return;
  throw new CarportError('E_USAGE', '`--notes-file` and `--notes-from-tag` say different things', {
    hint: 'give one of them: a release has one text',
  });
}

/** The notes of a version; nothing where none are asked for. It is told where none are found. */
export async function readNotes(
  options: NotesOptions,
  { version, tag }: NotesOf,
  context: Context,
): Promise<string | undefined> {
  const { notesFile, notesFromTag = false } = options;
  if (notesFile === undefined && (!notesFromTag || tag === undefined)) return undefined;
  const found =
    notesFile === undefined
      ? await notesOfTag(version, tag!, context)
      : notesOf(version, await readText(notesFile, context), nameOf(notesFile));
  if (found.notes !== undefined) return found.notes;
  warnPeople(context)({ type: 'warning', about: { version }, message: `${found.why}: it is published without notes` });
  return undefined;
}

function nameOf(file: string): string {
  return file === '-' ? 'stdin (--notes-file)' : `\`${file}\` (--notes-file)`;
}

/** The text of a file of notes, or of stdin for `-`. Throws `E_USAGE`. */
export async function readText(file: string, context: Context): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  try {
    for await (const piece of await openSource(file, context)) {
      pieces.push(piece);
      size += piece.length;
      if (size > MAX_FILE) break;
    }
  } catch (cause) {
    throw new CarportError('E_USAGE', `${nameOf(file)} cannot be read`, {
      cause,
      hint: 'name the file with the notes',
    });
  }
  if (size > MAX_FILE) {
    throw new CarportError('E_USAGE', `${nameOf(file)} has more than ${MAX_FILE / 1024 / 1024} MiB`, {
      hint: 'name a changelog, or a file with the notes alone',
    });
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(pieces));
  } catch (cause) {
    throw new CarportError('E_USAGE', `${nameOf(file)} is no text in UTF-8`, {
      cause,
      hint: 'notes are Markdown: see which file it is',
    });
  }
}

/** The message of an annotated tag, as the checkout of the working directory has it, without its signature. */
async function notesOfTag(version: string, tag: string, context: Context): Promise<ReturnType<typeof notesOf>> {
  const format = '%(objecttype)%0a%(contents:subject)%0a%0a%(contents:body)';
  const { exitCode, stdout, stderr, failure } = await runProgram(
    'git',
    ['for-each-ref', '--count=1', `--format=${format}`, `refs/tags/${tag}`],
    {
      directory: workingDirectory(context),
      env: { ...gitEnvironment(context.env), LC_ALL: 'C', GIT_TERMINAL_PROMPT: '0' },
      timeLimit: GIT_MS,
      outputLimit: MAX_FILE,
    },
  );
  if (exitCode !== 0) {
    const why = failure?.reason === 'not-found' ? 'git is not installed' : (stderr.trim().split('\n').at(-1) ?? '');
    return { why: `the message of the tag \`${tag}\` cannot be read (${why})` };
  }
  const end = stdout.indexOf('\n');
  const type = end < 0 ? stdout : stdout.slice(0, end);
  if (type === '') return { why: `this checkout has no tag \`${tag}\` (\`git fetch origin tag ${tag}\` gets it)` };
  if (type !== 'tag') {
    const how = `\`git tag --annotate\` makes one with a message; \`git fetch --force origin tag ${tag}\` gets it where CI has left it out`;
    return { why: `the tag \`${tag}\` has no message here (${how})` };
  }
  return notesOf(version, stdout.slice(end + 1), `the tag \`${tag}\``);
}
