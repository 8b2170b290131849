/** What a command may touch of the process; output. */

import type { Readable, Writable } from 'node:stream';
import { CarportError } from '../../lib/errors.js';
import type { NixAnswer } from '../../lib/store/nix/ahead.js';
import type { HeldKeys } from '../settings/held-key.js';
import { printableLine } from './printable.js';
import { redact, redactField, redactWords } from './redact.js';

/** A stream for output, which may be a terminal. */
export type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** What a command may touch of the process that runs it. */
export interface Context {
  readonly env: NodeJS.ProcessEnv;
  readonly stdin: Readable;
  /** Data. */
  readonly stdout: Output;
  /** It is a terminal or another device such as `/dev/null`, and no file or pipe. */
  readonly isStdoutDevice?: boolean;
  /** Words for people. */
  readonly stderr: Output;
  /** The working directory. Throws as Node does where it is gone; `workingDirectory` says what to do then. */
  cwd(): string;
  /** What comes after `--`, for commands that run another. */
  readonly operands?: readonly string[];
  /** Secret keys that were in the environment, which has them no longer. */
  readonly heldKeys?: HeldKeys | undefined;
  /** What Nix was asked before the program was there. */
  readonly answers?: readonly NixAnswer[] | undefined;
}

/** The working directory; throws `E_NOT_FOUND` where it is gone. */
export function workingDirectory({ cwd }: Pick<Context, 'cwd'>): string {
  try {
    return cwd();
  } catch (cause) {
    throw new CarportError('E_NOT_FOUND', 'the working directory does not exist any more', {
      cause,
      hint: 'change to another one with `cd`',
    });
  }
}

/** Options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: number;
}

/** Nobody reads what is printed any more (`carport … | head`): no reason to complain, and none to go on printing. */
export class OutputClosed extends Error {}

/** Why a stream can't be written to any more. */
const failures = new WeakMap<Output, NodeJS.ErrnoException>();

/** Remembers what goes wrong with a stream, instead of ending the process. */
export function watchOutput(output: Output): void {
  output.on('error', (error) => failures.set(output, error));
}

/**
 * Writes data as it is: files, archives and what was in them must not change. Everything else goes through the functions
 * below, which let no secret out.
 *
 * Waits until the stream can take more. Throws `OutputClosed`, or what went wrong with the stream.
 */
export async function write(output: Output, data: string | Uint8Array): Promise<void> {
  throwFailure(output);
  if (output.write(data)) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      for (const event of ['drain', 'error', 'close']) output.off(event, done);
      resolve();
    };
    for (const event of ['drain', 'error', 'close']) output.once(event, done);
  });
  throwFailure(output);
}

/** Waits until all that was written is out. Throws as `write` does. */
export async function flush(output: Output): Promise<void> {
  await new Promise<void>((resolve) => output.write('', () => resolve()));
  throwFailure(output);
}

function throwFailure(output: Output): void {
  const error = failures.get(output);
  if (error?.code === 'EPIPE') throw new OutputClosed();
  if (error) throw outputError(error);
}

/** The error of a stream that takes nothing any more. */
export function outputError(cause: Error): CarportError {
  return new CarportError('E_IO', 'the output cannot be written', { cause });
}

/** Says something to people; that nobody listens must not stop the work. */
export function say(context: Context, text: string): void {
  if (!failures.has(context.stderr)) context.stderr.write(redactWords(text));
}

/** Characters that are gathered before they are written. */
const MOST_GATHERED = 1_000_000;

/** Writes one a line. Of very many, only some are held. */
export async function writeLines(output: Output, lines: Iterable<string>): Promise<void> {
  let gathered: string[] = [];
  let length = 0;
  const flush = async () => {
    await write(output, redact(gathered.join('')));
    [gathered, length] = [[], 0];
  };
  for (const line of lines) {
    gathered.push(`${line}\n`);
    length += line.length + 1;
    if (length >= MOST_GATHERED) await flush();
  }
  await flush();
}

/** Writes one JSON document, with the version of its shape. */
export async function writeJson(output: Output, value: object): Promise<void> {
  await write(output, `${JSON.stringify({ version: 1, ...value }, redactField, 2)}\n`);
}

/** Writes one document of many, in one line, and waits for nobody. */
export function writeJsonLine(output: Output, value: object): void {
  output.write(`${JSON.stringify({ version: 1, ...value }, redactField)}\n`);
}

/** Says something to people in one line, unless they asked for quiet. */
export function note(context: Context, options: Pick<CommonOptions, 'quiet'>, message: string): void {
  if (!options.quiet) say(context, `${printableLine(message)}\n`);
}
