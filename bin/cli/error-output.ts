/** Errors as text and JSON. */

import { styleText } from 'node:util';
import { CarportError } from '../../lib/errors.js';
import { endsWithTemporaryName, TEMPORARY } from '../../lib/filesystem/temporary.js';
import { type Context, say } from './context.js';
import { exitCodeOf } from './exit-code.js';
import { printable } from './printable.js';
import { usesColor } from './terminal.js';

/** Other commands leave nothing. */
const FREE_SPACE = 'free some space and run it again: what was finished before is kept';

/** What the file system's refusals mean for a user. */
const SYSTEM_ERRORS: Readonly<Record<string, { readonly message: string; readonly hint: string }>> = {
  ENOSPC: { message: 'the disk is full', hint: FREE_SPACE },
  EDQUOT: { message: 'the disk quota is used up', hint: FREE_SPACE },
  EROFS: { message: 'the file system is read-only', hint: 'name a place that can be written to' },
  EACCES: { message: 'permission denied', hint: 'check who may read and write there' },
  EPERM: { message: 'not permitted', hint: 'check who may read and write there' },
  ENOTDIR: { message: 'a part of the path is not a directory', hint: 'check the path' },
  EISDIR: { message: 'it is a directory', hint: 'name a file' },
  EMFILE: { message: 'too many open files', hint: 'raise `ulimit -n`, or use fewer `--jobs`' },
  ENFILE: { message: 'the system has too many open files', hint: 'use fewer `--jobs`, or raise `fs.file-max`' },
};

/** Makes an error for people of whatever was thrown. Bugs stay what they are. */
function explainError(error: unknown): unknown {
  if (error instanceof CarportError || !(error instanceof Error) || !('code' in error)) return error;
  const known = SYSTEM_ERRORS[String(error.code)];
  const named = 'path' in error && error.path !== undefined ? String(error.path) : '';
  const directory = directoryOfTemporary(named);
  if (error.code === 'ENOENT' && directory !== undefined) {
    return new CarportError('E_NOT_FOUND', `\`${directory}\` is gone: it was moved or removed meanwhile`, {
      cause: error,
      hint: 'put it back, or name the place where it is now, and run it again',
    });
  }
  const path = named === '' ? '' : `\`${directory ?? named}\`: `;
  if (error.code === 'ENOENT') {
    const message = `${path}no such file or directory`;
    return new CarportError('E_NOT_FOUND', message, { cause: error, hint: 'check the path' });
  }
  if (known) return new CarportError('E_IO', `${path}${known.message}`, { cause: error, hint: known.hint });
  return 'syscall' in error ? new CarportError('E_IO', `${path}${error.message}`, { cause: error }) : error;
}

/** The directory, such as that of a cache, in which a file on its way has a name that tells nobody anything. */
function directoryOfTemporary(path: string): string | undefined {
  const parts = path.split('/');
  const at = parts.findIndex(endsWithTemporaryName);
  const directory = parts.slice(0, at).join('/');
  if (at < 1 || directory === '') return undefined;
  const spool = `/${TEMPORARY}`;
  return `${directory}/`.endsWith(spool) ? `${directory}/`.slice(0, -spool.length) : directory;
}

/** Prints an error, as text or as the last line of JSON, and returns the exit code. */
export function reportError(thrown: unknown, context: Context, json: boolean, verbosity: number): number {
  const error = explainError(thrown);
  const exitCode = error instanceof CarportError ? exitCodeOf(error.code) : 1;
  say(context, json ? renderJson(error, exitCode) : renderText(error, context, verbosity));
  return exitCode;
}

function renderJson(error: unknown, exitCode: number): string {
  const { code, message, hint } = fieldsOf(error);
  return `${JSON.stringify({ type: 'error', code, message, causes: causesOf(error), hint: hint ?? null, exitCode })}\n`;
}

function renderText(error: unknown, context: Context, verbosity: number): string {
  const { code, message, hint } = fieldsOf(error);
  const color = usesColor(context.stderr, context.env);
  const label = color ? styleText(['bold', 'red'], `error[${code}]`) : `error[${code}]`;
  const hintLabel = color ? styleText('cyan', 'hint') : 'hint';
  const stack = verbosity >= 2 || code === 'E_BUG' ? stacksOf(error) : '';
  return [
    `${label}: ${printable(message)}\n`,
    ...causesOf(error).map((cause) => `  because ${printable(cause)}\n`),
    printable(stack),
    hint === undefined ? '' : `\n${hintLabel}: ${printable(hint)}\n`,
  ].join('');
}

function fieldsOf(error: unknown): { code: string; message: string; hint: string | undefined } {
  if (error instanceof CarportError) return { code: error.code, message: error.message, hint: error.hint };
  const message = error instanceof Error ? error.message : String(error);
  return {
    code: 'E_BUG',
    message: `something that should not happen: ${message}`,
    hint: 'please report it, with the text above',
  };
}

/** Where an error comes from, and where its causes do. */
function stacksOf(error: unknown): string {
  return error instanceof Error ? `${error.stack}\n${stacksOf(error.cause)}` : '';
}

function causesOf(error: unknown): readonly string[] {
  const causes: string[] = [];
  for (let cause = error instanceof Error ? error.cause : undefined; cause !== undefined; ) {
    causes.push(cause instanceof Error ? cause.message : String(cause));
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  return causes;
}
