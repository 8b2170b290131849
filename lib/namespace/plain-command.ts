/** Commands with more arguments than bubblewrap takes, or with bytes that are not UTF-8. */

import { isRaw, rawBytes } from '../raw-text.js';

/** A command as Node and bubblewrap take it: text, and few arguments. */
export interface PlainCommand {
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** bubblewrap takes 9000 arguments, its own and the command's; Linux takes more. */
export const MAX_ARGUMENTS = 8000;

/** Linux takes 128 KiB in one argument. */
const PIECE = /.{1,100000}/g;

/** Holds what comes before the command. A command line is shown to everybody, and the environment is not. */
const PREFIX = 'CARPORT_RUN_PREFIX';

/** Its arguments are a command as shell text, in pieces; it becomes that command. */
const SCRIPT = `IFS=; eval "$(printf "$${PREFIX}")$(printf "$*")"`;

/** Becomes the command that its arguments are. */
const EXEC = ['/bin/sh', '-c', 'exec "$@"', 'sh'];

type Variable = readonly [name: string, value: string];

/**
 * The same command where it cannot be given as it is: a shell gets it as text, and becomes it. So does one with too many
 * arguments, one that `env` would take for a variable, and one with arguments or an environment that are not UTF-8.
 */
export function plainCommand(command: readonly string[], env: NodeJS.ProcessEnv, maxArguments: number): PlainCommand {
  const variables = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const raw = variables.filter(isRawVariable);
  const fits = command.length <= maxArguments && !command[0]!.includes('=') && !command.some(isRaw);
  if (fits && raw.length === 0) return { command, env };
  const text = asciiOf(wordsOf(command));
  return {
    command: ['/bin/sh', '-c', SCRIPT, 'sh', ...text.match(PIECE)!],
    env: {
      ...Object.fromEntries(variables.filter((variable) => !isRawVariable(variable))),
      [PREFIX]: asciiOf(prefixOf(variables, command)),
    },
  };
}

/** Sets what is not in the environment of the shell, or would not be in that of the command. */
function prefixOf(variables: readonly Variable[], command: readonly string[]): string {
  const named = variables.filter((variable) => isRawVariable(variable) && isShellName(variable[0]));
  const unnamed = variables.filter(([name]) => !isShellName(name));
  const exports = named.map(([name, value]) => `export ${name}=${quoteWord(value)}; `);
  // `env` would take a command with a `=` for one more variable.
  const end = command[0]!.includes('=') ? EXEC : [];
  const words = unnamed.length === 0 ? [] : ['/usr/bin/env', ...unnamed.map((entry) => entry.join('=')), ...end];
  return `unset ${PREFIX}; ${exports.join('')}exec${wordsOf(words)}`;
}

function isRawVariable([name, value]: Variable): boolean {
  return isRaw(name) || isRaw(value);
}

/** `dash` drops variables with other names, such as functions that `bash` has exported. */
function isShellName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

function wordsOf(words: readonly string[]): string {
  return words.map((word) => ` ${quoteWord(word)}`).join('');
}

/** A word as POSIX shells read it. */
export function quoteWord(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** As `printf` takes it: bytes that are not plain ASCII as numbers. */
function asciiOf(text: string): string {
  return rawBytes(text)
    .toString('latin1')
    .replace(/[^ -~]|[\\%]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
}
