/** What all commands share: help, common options, options of settings. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import { list, section } from '../help/sections.js';
import { refuseKeysInSettings } from '../settings/misplaced-keys.js';
import { readSettings, SETTINGS, type SettingKey, type Settings } from '../settings/settings.js';
import type { Context } from './context.js';
import { EXIT_CODES } from './exit-code.js';

/** Examples by command: help shows them before the options. */
const examples = new WeakMap<Command, readonly string[]>();

/** Commands that end as another program does. */
const runners = new WeakSet<Command>();

/** Says in the help of a command, which `describeCommand` has described, that it runs another program and ends as that. */
export function describeRunner(command: Command): void {
  runners.add(command);
  command.options.find(({ long }) => long === '--json')!.description = 'print errors as JSON';
}

/** Adds a command's examples, first in its help, and the options that every command has. */
export function describeCommand(command: Command, description: string, ...lines: readonly string[]): Command {
  examples.set(command, lines);
  return command
    .description(description)
    .option('--json', 'print JSON')
    .option('-q, --quiet', 'say errors and warnings only; data is printed all the same')
    .option(
      '-v, --verbose',
      'say more; twice shows where errors come from',
      (_: string, times: number) => times + 1,
      0,
    );
}

/** Options of settings: they may be given in the environment and in files, too. */
export function settingOption(key: SettingKey, argument: string): Option {
  const { option, description, env, list } = SETTINGS[key];
  const parsed = new Option(`${option} ${argument}`, `${description}${list ? '; repeatable' : ''} [${env}]`);
  return parsed.argParser((value: string, before: readonly string[] = []) => (list ? [...before, value] : [value]));
}

/** The settings that hold for a command, its own options first. Throws where one of them is a secret key. */
export async function settingsOf(options: Record<string, unknown>, context: Context): Promise<Settings> {
  const given: Partial<Record<SettingKey, readonly string[]>> = {};
  for (const key of Object.keys(SETTINGS) as SettingKey[]) {
    const value = options[camelCase(SETTINGS[key].option.slice(2))];
    if (Array.isArray(value)) given[key] = value;
  }
  const settings = await readSettings(given, context.env, process.cwd());
  refuseKeysInSettings(settings);
  return settings;
}

/** Parses a number of an option. */
export function integerBetween(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^[0-9]+$/.test(text) && number >= min && number <= max) return number;
    throw new InvalidArgumentError(`It takes a number from ${min} to ${max}.`);
  };
}

/** Help as cli.md asks for it: what it does, examples, arguments, options, exit codes. */
export function formatHelp(command: Command): string {
  const help = command.createHelp();
  const path = commandPath(command);
  const isRoot = command.parent === null;
  const subcommands = help
    .visibleCommands(command)
    .map((child) => [child.name(), child.summary() || child.description()]);
  const groups = isRoot ? [] : [section('Commands', subcommands)];
  const args = help.visibleArguments(command).map((arg) => [help.argumentTerm(arg), help.argumentDescription(arg)]);
  const options = help
    .visibleOptions(command)
    .map((option) => [help.optionTerm(option), help.optionDescription(option)]);
  const own = runners.has(command)
    ? [['N', "the command's own, or 128 and the number of its signal; else carport's:"]]
    : [];
  const codes = [...own, ...Object.entries(EXIT_CODES)];
  return [
    `${command.description()}\n`,
    list('Examples', examples.get(command) ?? []),
    list('Usage', [help.commandUsage(command)]),
    ...groups,
    section('Arguments', args),
    section('Options', options),
    subcommands.length === 0 ? section('Exit status', codes) : `Run \`${path} COMMAND --help\` for more.\n`,
  ]
    .filter((part) => part !== '')
    .join('\n');
}

/** `carport store add`. */
export function commandPath(command: Command): string {
  return command.parent ? `${commandPath(command.parent)} ${command.name()}` : command.name();
}

function camelCase(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
}
