/** Runs a program to its end, within limits of time and output, or has bytes go through it, and says how it ended. */

import type { Options } from 'execa';
import { feed } from '../buffers.js';
import { isErrno, TOO_MANY_FILES } from '../errors.js';
import { hidePasswords } from '../hide-passwords.js';
import { gather } from './gather.js';
import { abortedByInterrupts } from './interrupts.js';

export interface RunOptions {
  /** Its whole environment; without one it has that of this process. */
  readonly env?: NodeJS.ProcessEnv;
  readonly directory?: string;
  /** Ends the program, as an interrupt does, after which `runProgram` throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** Milliseconds until it is ended. */
  readonly timeLimit?: number;
  /** Characters of its output until it is ended. */
  readonly outputLimit?: number;
  /** What it reads; not with files. */
  readonly input?: string;
  /** A file that it reads; without one there is nothing to read. */
  readonly inputFile?: string;
  /** A file that gets its output. */
  readonly outputFile?: string;
  /** Takes what it says on stderr as it comes. */
  onStderr?(text: string): void;
}

/** How a program ended. */
export interface ProgramResult {
  /** Absent when it did not run to its own end. */
  readonly exitCode?: number;
  /** Its output as text, without the line end that is last. */
  readonly stdout: string;
  /** The end of what it said on stderr: of more than 64 KiB the last. */
  readonly stderr: string;
  /** Why it was no success: present unless the exit code is 0. */
  readonly failure?: ProgramFailure;
}

/**
 * What kept a program from a good end. `ended` is a bad exit code or a signal; `failed`, that it could not be started, or
 * that a file that it reads or writes failed.
 */
export type FailureReason = 'not-found' | 'failed' | 'timed-out' | 'too-much-output' | 'ended';

/** A program that failed. The message is the end of what it said, else how it ended. */
export class ProgramFailure extends Error {
  readonly program: string;
  readonly reason: FailureReason;
  /** As in `ProgramResult`. */
  readonly stderr: string;

  constructor(program: string, reason: FailureReason, stderr: string, otherwise: string) {
    super(stderr.trim().split('\n').slice(-LINES_SHOWN).join('\n') || otherwise);
    this.program = program;
    this.reason = reason;
    this.stderr = stderr;
  }
}

/** Lines of stderr that an error shows. */
const LINES_SHOWN = 5;

const STDERR_KEPT = 64 * 1024;

/** Characters of output that are taken where nothing else is said. */
const OUTPUT_LIMIT = 100 * 1024 * 1024;

/**
 * Runs a program, which is looked for on PATH. That it fails is part of the result. Throws `E_INTERRUPTED` when an interrupt ended
 * it, and `EMFILE` or `ENFILE` when there was no descriptor left for it: that is nothing of the program's.
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<ProgramResult> {
  let stderr = '';
  const onStderr = (text: string): void => {
    stderr = (stderr + text).slice(-STDERR_KEPT);
    options.onStderr?.(text);
  };
  const usesFiles = options.inputFile !== undefined || options.outputFile !== undefined;
  const { signal, release } = abortedByInterrupts(options.signal);
  const run = usesFiles ? runWithFiles : runAlone;
  const ended = await run(program, args, { ...options, signal }, onStderr).finally(release);
  signal.throwIfAborted();
  if (isErrno(ended.cause, ...TOO_MANY_FILES)) throw ended.cause;
  const { exitCode, stdout } = ended;
  const result = { stdout, stderr, ...(typeof exitCode === 'number' && { exitCode }) };
  if (exitCode === 0 && ended.cause === undefined && !ended.timedOut && !ended.isMaxBuffer) return result;
  const reason = reasonOf(ended);
  const otherwise = reason === 'failed' && ended.cause instanceof Error ? ended.cause.message : wordsFor(ended, reason);
  const commandLine = hidePasswords([program, ...args].join(' '));
  return { ...result, failure: new ProgramFailure(program, reason, stderr, `${otherwise}: ${commandLine}`) };
}

type RunEnd = Ended & { readonly stdout: string };

async function runAlone(
  program: string,
  args: readonly string[],
  { env, directory, input, signal, timeLimit, outputLimit = OUTPUT_LIMIT }: RunOptions,
  onStderr: (text: string) => void,
): Promise<RunEnd> {
  const request = {
    ...{ program, arguments: args },
    ...(env && { env }),
    ...(directory !== undefined && { directory }),
    ...(input !== undefined && { text: input }),
  };
  const ended = await gather(request, { signal, timeLimit, outputLimit, onStderr });
  return { ...ended, stdout: ended.stdout.replace(/\r?\n$/, '') };
}

async function runWithFiles(
  program: string,
  args: readonly string[],
  options: RunOptions,
  onStderr: (text: string) => void,
): Promise<RunEnd> {
  const { execa } = await import('execa');
  const running = execa(program, args, execaOptions(options));
  running.stderr?.setEncoding('utf8').on('data', onStderr);
  // A failure is an error, of which not all can be copied with the rest.
  const { exitCode, signal, timedOut, isMaxBuffer, cause, stdout } = await running;
  return { exitCode, signal, timedOut, isMaxBuffer, cause, stdout: typeof stdout === 'string' ? stdout : '' };
}

function execaOptions(options: RunOptions): Options {
  const { env, directory, signal, timeLimit, outputLimit = OUTPUT_LIMIT, inputFile, outputFile } = options;
  return {
    reject: false,
    stdin: inputFile === undefined ? 'ignore' : { file: inputFile },
    buffer: { stdout: outputFile === undefined, stderr: false },
    maxBuffer: outputLimit,
    ...(outputFile !== undefined && { stdout: { file: outputFile } }),
    ...(env && { env, extendEnv: false }),
    ...(directory !== undefined && { cwd: directory }),
    ...(signal && { cancelSignal: signal }),
    ...(timeLimit !== undefined && { timeout: timeLimit }),
  };
}

interface Ended {
  readonly timedOut: boolean;
  readonly isMaxBuffer: boolean;
  readonly exitCode?: number | null | undefined;
  readonly signal?: string | null | undefined;
  readonly cause?: unknown;
}

function reasonOf({ timedOut, isMaxBuffer, cause }: Ended): FailureReason {
  if (timedOut) return 'timed-out';
  if (isMaxBuffer) return 'too-much-output';
  // A file that is to be read and is not there is `ENOENT`, too.
  if (isErrno(cause, 'ENOENT') && cause.syscall?.startsWith('spawn')) return 'not-found';
  return cause === undefined ? 'ended' : 'failed';
}

function wordsFor({ exitCode, signal }: Ended, reason: FailureReason): string {
  if (reason === 'ended') return `it ended with ${exitCode ?? signal}`;
  return reason === 'timed-out' ? 'it took too long, and was ended' : 'it printed too much, and was ended';
}

/** A program that bytes go through. */
export interface Filter {
  readonly program: string;
  readonly arguments: readonly string[];
  /** Added to the environment of this process, or taken away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** `false`: `env` is its whole environment. */
  readonly extendEnv?: boolean;
}

/** Characters of what it says on stderr that are kept. */
const FILTER_STDERR_KEPT = 4 * 1024;

/**
 * What a program makes of bytes. Throws a `ProgramFailure` at the end when it has failed; what the source throws ends it as
 * if there were no more. It is ended when the reader stops.
 */
export async function* filterThrough(
  { program, arguments: args, env, extendEnv = true }: Filter,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const { execa } = await import('execa');
  const running = execa(program, args, {
    reject: false,
    buffer: false,
    encoding: 'buffer',
    extendEnv,
    ...(env && { env }),
  });
  let stderr = '';
  running.stderr.on('data', (bytes: Buffer) => {
    stderr = (stderr + bytes.toString('utf8')).slice(0, FILTER_STDERR_KEPT);
  });
  // A program that has seen enough closes its input; how it ended tells whether that was right.
  running.stdin.on('error', () => undefined);
  // What the source throws is known to who gave it. Not awaited: it may never answer.
  void feed(source, running.stdin).catch(() => running.stdin.end());
  let isDone = false;
  try {
    for await (const bytes of running.stdout) yield bytes as Uint8Array;
    const ended = await running;
    isDone = true;
    if (!ended.failed) return;
    const otherwise =
      ended.cause instanceof Error ? ended.cause.message : `it ended with ${ended.exitCode ?? ended.signal}`;
    throw new ProgramFailure(program, reasonOf(ended), stderr, otherwise);
  } finally {
    if (!isDone) running.kill('SIGKILL');
    running.stdin.destroy();
  }
}
