/** One command line from arguments to exit code. */

import { Command, CommanderError } from 'commander';
import { CarportError } from '../lib/errors.js';
import { type Context, flush, OutputClosed, say, write, writeJson } from './cli/context.js';
import { reportError } from './cli/error-output.js';
import { ExitWith } from './cli/exit-code.js';
import { rememberSecretsOf } from './cli/redact.js';
import { versions } from './cli/versions.js';
import { COMMANDS, type CommandEntry } from './commands.js';
import { commandPath, formatHelp } from './help/command-help.js';
import { quickAnswer } from './help/quick.js';
import { rootHelp } from './help/root.js';
import { suggestCommand, suggestOption } from './help/suggest.js';
import { takeKeys } from './settings/held-key.js';
import { refuseKeysIn } from './settings/misplaced-keys.js';

/** A family of commands was named, and none of them: its help is shown. */
class NeedsCommand extends CarportError {
  constructor(
    path: string,
    hint: string,
    readonly help: string,
  ) {
    super('E_USAGE', `\`${path}\` needs a command`, { hint });
  }
}

/** Runs one command line and returns its exit code. */
export async function runCommandLine(words: readonly string[], surroundings: Context): Promise<number> {
  const { args, operands } = splitCommandLine(words);
  rememberSecretsOf(surroundings.env);
  const { env, held: heldKeys } = takeKeys(surroundings.env);
  const context = { ...surroundings, env, heldKeys };
  try {
    refuseKeysIn(args);
    await runCommand(args, operands ? { ...context, operands } : context);
    await flush(context.stdout);
    return 0;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    if (error instanceof OutputClosed) return 0;
    if (error instanceof ExitWith) return error.exitCode;
    const verbosity = args.filter((arg) => /^-v+$/.test(arg) || arg === '--verbose');
    const level = verbosity.reduce((sum, arg) => sum + (arg === '--verbose' ? 1 : arg.length - 1), 0);
    const json = args.includes('--json');
    const exitCode = reportError(error, context, json, level);
    if (error instanceof NeedsCommand && !json) say(context, `\n${error.help}`);
    return exitCode;
  }
}

/** Takes off what is another program's command line. */
function splitCommandLine(words: readonly string[]): Pick<Context, 'operands'> & { readonly args: readonly string[] } {
  const at = words.indexOf('--');
  const entry = COMMANDS.find(({ name }) => name === words[0]);
  if (at < 0 || !entry?.runsProgram) return { args: words };
  return { args: words.slice(0, at), operands: words.slice(at + 1) };
}

async function runCommand(args: readonly string[], context: Context): Promise<void> {
  const answer = await quickAnswer(args);
  if (answer !== undefined) return write(context.stdout, answer);
  const [name = ''] = args;
  if (name === '--version' || name === '-V') return printVersion(args, context);
  if (name === '--help' || name === '-h') return write(context.stdout, rootHelp());
  const words = name === 'help' ? [...args.slice(1), '--help'] : [...args];
  const program = await createProgram(context, [findCommand(words[0]!)]);
  try {
    await program.parseAsync(words, { from: 'user' });
  } catch (error) {
    throw usageError(error, commandNamed(program, words));
  }
}

/** The commands as a tree, with their options: all of them are loaded. */
export function createWholeProgram(context: Context): Promise<Command> {
  return createProgram(context, COMMANDS);
}

async function createProgram(context: Context, entries: readonly CommandEntry[]): Promise<Command> {
  const program = new Command('carport')
    .exitOverride()
    .helpCommand(false)
    .showSuggestionAfterError()
    .configureHelp({ formatHelp: (command) => formatHelp(command) })
    .configureOutput({
      writeOut: (text) => void context.stdout.write(text),
      // Errors are reported in one place, from what is thrown.
      writeErr: () => undefined,
    });
  for (const entry of entries) {
    const { configure } = await entry.load();
    configure(program.command(entry.name).summary(entry.summary), context, () => createWholeProgram(context));
  }
  return program;
}

function findCommand(name: string): CommandEntry {
  const entry = COMMANDS.find((command) => command.name === name);
  if (entry) return entry;
  const kind = name.startsWith('-') ? 'option' : 'command';
  throw new CarportError('E_USAGE', `\`${name}\` is not ${kind === 'option' ? 'an' : 'a'} ${kind} of carport`, {
    hint: kind === 'command' ? suggestCommand(name) : suggestOption(name),
  });
}

/** The command that words name, as far as they do. */
function commandNamed(program: Command, words: readonly string[]): Command {
  const [word, ...rest] = words;
  const child = program.commands.find((command) => command.name() === word);
  return child ? commandNamed(child, rest) : program;
}

/** Commander's complaints in carport's words. */
function usageError(error: unknown, command: Command): unknown {
  if (!(error instanceof CommanderError) || error.exitCode === 0) return error;
  const path = commandPath(command);
  const help = `\`${path} --help\` shows how it is used`;
  if (error.code === 'commander.help') {
    return new NeedsCommand(path, help, formatHelp(command));
  }
  const [first = '', ...rest] = error.message.split('\n');
  const message = first.replace(/^error: /, '').replaceAll("'", '`');
  if (error.code === 'commander.unknownCommand') {
    const word = /`(.*)`/.exec(message)?.[1] ?? '';
    return new CarportError('E_USAGE', message, { hint: suggestCommand(word, command.name()) });
  }
  const guess = /\(Did you mean (.*)\?\)/.exec(rest.join(' '))?.[1];
  return new CarportError('E_USAGE', message, { hint: guess ? `did you mean \`${guess}\`?` : help });
}

async function printVersion(args: readonly string[], context: Context): Promise<void> {
  const all = await versions();
  if (args.includes('--json')) await writeJson(context.stdout, all);
  else await write(context.stdout, `carport ${all.carport}\n`);
}
