/** The help of a command, and of a family of commands. */

import type { Command } from 'commander';
import { EXIT_CODES } from '../cli/exit-code.js';
import { list, section } from './sections.js';

/** What help says of a command beside its arguments and options. */
export interface HelpDetails {
  /** Command lines, shown before the options. */
  readonly examples: readonly string[];
  /** It runs another program, and ends as that does. */
  readonly runsProgram: boolean;
}

const details = new WeakMap<Command, HelpDetails>();

/** Remembers for the help of a command what commander has no place for. */
export function setHelpDetails(command: Command, help: HelpDetails): void {
  details.set(command, help);
}

/** What was remembered of a command. */
export function helpDetailsOf(command: Command): HelpDetails {
  return details.get(command) ?? { examples: [], runsProgram: false };
}

/** Help as cli.md asks for it: what it does, examples, arguments, options, exit codes. */
export function formatHelp(command: Command): string {
  const help = command.createHelp();
  const path = commandPath(command);
  const isRoot = command.parent === null;
  const subcommands = help
    .visibleCommands(command)
    .map((child) => [child.name(), child.summary() || firstSentence(child.description())]);
  const groups = isRoot ? [] : [section('Commands', subcommands)];
  const args = help.visibleArguments(command).map((arg) => [help.argumentTerm(arg), help.argumentDescription(arg)]);
  const options = help
    .visibleOptions(command)
    .map((option) => [help.optionTerm(option), help.optionDescription(option)]);
  const own = helpDetailsOf(command).runsProgram
    ? [['N', "the command's own, or 128 and the number of its signal; else carport's:"]]
    : [];
  const codes = [...own, ...Object.entries(EXIT_CODES)];
  return [
    `${command.description()}\n`,
    list('Examples', helpDetailsOf(command).examples),
    list('Usage', [help.commandUsage(command)]),
    ...groups,
    section('Arguments', args),
    section('Options', options),
    subcommands.length === 0 ? section('Exit status', codes) : `Run \`${path} COMMAND --help\` for more.\n`,
  ]
    .filter((part) => part !== '')
    .join('\n');
}

function firstSentence(text: string): string {
  return text.replace(/\.( .*)?$/s, '');
}

/** The words that call a command: `carport store add`. */
export function commandPath(command: Command): string {
  return command.parent ? `${commandPath(command.parent)} ${command.name()}` : command.name();
}
