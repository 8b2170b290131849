/** The commands `run` and `shell`. */

import { readlink, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { CarportError, isErrno } from '../../lib/errors.js';
import { isOwnDirectory } from '../../lib/filesystem/private-directory.js';
import { bubblewrapCall, findBubblewrap, parseStatus } from '../../lib/namespace/bubblewrap.js';
import { cannotExecute, explainNotStarted } from '../../lib/namespace/failure.js';
import { makeMounts } from '../../lib/namespace/mounts.js';
import { areInPlace, type PlacedPath } from '../../lib/namespace/placed-path.js';
import { MAX_ARGUMENTS, plainCommand } from '../../lib/namespace/plain-command.js';
import { findShield } from '../../lib/namespace/shield.js';
import { isProgram } from '../../lib/process/find-program.js';
import { type Ended, runInForeground } from '../../lib/process/foreground.js';
import { rawBytes, rawText } from '../../lib/raw-text.js';
import { withHeldPaths } from '../../lib/store/hold-paths.js';
import type { LockNotice } from '../../lib/store/own/lock/lock.js';
import { type Context, note, workingDirectory } from '../cli/context.js';
import { ExitWith } from '../cli/exit-code.js';
import { warnPeople } from '../cli/warnings.js';
import { withoutShims } from '../shims/record.js';
import { checkCommand, pathWith, programDirectories } from './environment.js';
import type { RunCommandOptions } from './options.js';
import { NO_PROMPT, promptFor } from './prompt.js';
import { rawArguments, rawEnvironment } from './raw-process.js';
import type { ShellOptions } from './shell-command.js';
import { resolveForRun } from './targets.js';

/** Runs a command with the store at `/nix/store`, and ends as that does. */
export async function run(targets: readonly string[], options: RunCommandOptions, context: Context): Promise<void> {
  const command = await rawArguments(commandOf(targets, context));
  await runWith(targets, options, context, { command, variable: 'CARPORT_RUN' });
}

/** The same with the user's shell. */
export async function shell(targets: readonly string[], options: ShellOptions, context: Context): Promise<void> {
  const rawEnv = await rawEnvironment(context.env);
  const program = await shellOf(rawEnv);
  const args = await rawArguments(context.operands ?? []);
  const isPrompted =
    args.length === 0 && isTerminal(context.stdin) && options.prompt && rawEnv.CARPORT_PROMPT !== 'none';
  const prompt = isPrompted ? await promptFor(program, rawEnv) : NO_PROMPT;
  const command = [program, ...prompt.arguments, ...args];
  await runWith(targets, options, context, { command, variable: 'CARPORT_SHELL', env: prompt.env });
}

function isTerminal(stream: Context['stdin']): boolean {
  return 'isTTY' in stream && stream.isTTY === true;
}

function commandOf(targets: readonly string[], { operands }: Context): readonly [string, ...string[]] {
  const [command, ...args] = operands ?? [];
  if (command !== undefined) return [command, ...args];
  const [what, word, ...more] = targets;
  if (operands === undefined && word !== undefined) {
    throw new CarportError('E_USAGE', 'there is no `--` before the command', {
      hint: `try \`carport run ${what} -- ${word}${more.length > 0 ? ' …' : ''}\``,
    });
  }
  const named = targets.map((target) => `${target} `).join('');
  throw new CarportError('E_USAGE', 'there is no command to run', {
    hint: `try \`carport run ${named}-- COMMAND\`, or \`${`carport shell ${named}`.trim()}\` for a shell`,
  });
}

/** `$SHELL`, unless that is one that lets nobody in. */
async function shellOf({ SHELL = '' }: NodeJS.ProcessEnv): Promise<string> {
  const fits = SHELL.startsWith('/') && !/\/(nologin|false)$/.test(SHELL) && (await isProgram(SHELL));
  return fits ? SHELL : '/bin/sh';
}

interface CommandLine {
  readonly command: readonly string[];
  /** The environment variable that tells the command what it is run with. */
  readonly variable: string;
  /** Variables of its own. */
  readonly env?: Readonly<Record<string, string>>;
}

interface Call {
  readonly command: readonly string[];
  readonly directory: string;
  readonly env: NodeJS.ProcessEnv;
  readonly placed: readonly PlacedPath[];
  /** What tells that the store is in use. */
  readonly marker: string | undefined;
}

async function runWith(
  targets: readonly string[],
  options: RunCommandOptions,
  context: Context,
  { command, variable, env: own }: CommandLine,
): Promise<never> {
  const rawEnv = await rawEnvironment(context.env);
  const directory = await namedDirectory(rawEnv, context);
  // stdout is the command's.
  const found = await resolveForRun(targets, { ...options, json: false }, context);
  const placed = found.closure.map((info) => ({ path: info.path, realPath: found.store.realPath(info) }));
  const roots = placed.slice(0, found.roots.length);
  const directories = await programDirectories(roots);
  const env = { ...rawEnv, ...own, PATH: pathWith(directories, rawEnv.PATH), [variable]: found.names.join(' ') };
  await checkCommand(command[0]!, placed, env);
  if (directories.length === 0) {
    const message = `what was named has no programs: \`${found.names.join(' ')}\` has no \`bin\``;
    warnPeople(context)({ type: 'warning', message });
  }
  const call = { command, directory, env, placed };
  const tell = (message: string) => note(context, options, message);
  const notify = ({ kind, message }: LockNotice) => {
    if (kind === 'waiting') tell(message);
    else if (options.verbose) tell(`note: ${message}`);
  };
  const work = (marker: string | undefined) => runCall({ ...call, marker }, context);
  const ended = await withHeldPaths(found, found.roots, work, { notify });
  // A shell that waits for this process must see that the user wants no more.
  if (ended.interrupted && ended.exitCode === 130) process.kill(process.pid, 'SIGINT');
  throw new ExitWith(ended.exitCode);
}

async function runCall(call: Call, context: Context): Promise<Ended> {
  if (await areInPlace(call.placed)) return runDirectly(call);
  return runInNamespace(call, context);
}

async function runDirectly(call: Call): Promise<Ended> {
  const { command, env } = plainCommand(call.command, call.env, Number.POSITIVE_INFINITY);
  const [program, ...args] = command;
  try {
    return await runInForeground({ program: program!, arguments: args, env });
  } catch (error) {
    throw isErrno(error, 'ENOENT', 'EACCES', 'ENOEXEC', 'ENOTDIR') ? cannotExecute(program!, error) : tooLong(error);
  }
}

async function runInNamespace({ command, directory, env, placed, marker }: Call, context: Context): Promise<Ended> {
  const outside = await withoutShims(context.env);
  const program = await findBubblewrap(outside);
  const [shield, mounts] = await Promise.all([
    findShield(outside),
    temporaryDirectoriesFor(context.env).then((temporaryDirectories) =>
      makeMounts({ paths: placed, temporaryDirectories, marker }),
    ),
  ]);
  try {
    // bubblewrap sets PWD.
    const plain = plainCommand(command, { ...env, PWD: directory }, MAX_ARGUMENTS);
    const { options, ...call } = await bubblewrapCall(program, mounts.options, directory, plain.command, shield);
    const processIdIn = (status: string) => parseStatus(status).processId;
    const ended = await runInForeground({ ...call, env: plain.env, input: options, processIdIn }).catch((error) => {
      throw tooLong(error);
    });
    const started = parseStatus(ended.status).exitCode !== undefined || ended.signal !== undefined;
    if (!started && ended.exitCode !== 0) throw await explainNotStarted(program, mounts.options, command);
    return ended;
  } finally {
    await mounts.remove();
  }
}

function tooLong(error: unknown): unknown {
  if (!isErrno(error, 'E2BIG')) return error;
  return new CarportError('E_USAGE', 'the arguments and the environment are longer than the system takes', {
    cause: error,
    hint: 'give the command fewer arguments at a time, or a file with them',
  });
}

/** Where a directory for this run may be: in memory, if there is such a place. */
async function temporaryDirectoriesFor({ XDG_RUNTIME_DIR, TMPDIR }: NodeJS.ProcessEnv): Promise<readonly string[]> {
  // `sudo` may have left that of another user.
  const has = XDG_RUNTIME_DIR?.startsWith('/') && (await isOwnDirectory(XDG_RUNTIME_DIR));
  return [...(has ? [XDG_RUNTIME_DIR!] : []), '/dev/shm', TMPDIR || tmpdir()];
}

/** The working directory as the shell names it, which may be through a link. */
async function namedDirectory({ PWD }: NodeJS.ProcessEnv, context: Context): Promise<string> {
  const text = workingDirectory(context);
  // The text has lost what is not UTF-8.
  const directory = await readlink('/proc/self/cwd', 'buffer').then(rawText, () => text);
  if (!PWD?.startsWith('/')) return directory;
  const [named, real] = await Promise.all([PWD, directory].map((path) => stat(rawBytes(path)).catch(() => undefined)));
  return named && named.ino === real?.ino && named.dev === real.dev ? PWD : directory;
}
