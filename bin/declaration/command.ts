/** Declares a command: its help, its arguments and options, and what it does with their values. */

import type { Command } from 'commander';
import { CarportError, hasCode } from '../../lib/errors.js';
import type { CommonOptions, Context } from '../cli/context.js';
import { commandPath, setHelpDetails } from '../help/command-help.js';
import type { Settings } from '../settings/setting.js';
import { SETTINGS, type SettingKey } from '../settings/table.js';
import type { ArgumentRow, ArgumentsOf } from './arguments.js';
import { refuseTwice } from './buckets.js';
import type { OptionsOf, Row, SettingRow } from './options.js';

/** A command. The types of what `run` gets follow from its tables. */
export interface CommandDeclaration<A extends readonly ArgumentRow[], O extends readonly Row[]> {
  readonly description: string;
  readonly examples: readonly string[];
  /** How it is called, where that does not follow from the arguments. */
  readonly usage?: string;
  /** It runs another program, and ends as that does. */
  readonly runsProgram?: boolean;
  readonly arguments?: A;
  /** In the order of the help. */
  readonly options?: O;
  /** Pairs of options, as `--update`, that exclude each other. */
  readonly excludes?: readonly (readonly [string, string])[];
  /** Throws for options that do not go together; `isGiven` tells which are on the command line. */
  refuse?(isGiven: (name: string) => boolean): void;
  /** Imports what it needs when it is called: help does not need it. */
  run(...values: [...ArgumentsOf<A>, OptionsOf<O>]): Promise<void>;
}

/** Makes a command of a family, or one that stands alone, what its declaration says. */
export function declareCommand<const A extends readonly ArgumentRow[] = [], const O extends readonly Row[] = []>(
  command: Command,
  context: Context,
  declaration: CommandDeclaration<A, O>,
): Command {
  const { description, examples, usage, runsProgram = false, excludes = [], refuse, run } = declaration;
  const [args, rows] = [declaration.arguments ?? [], declaration.options ?? []];
  setHelpDetails(command, { examples, runsProgram });
  if (usage !== undefined) command.usage(usage);
  command.description(description);
  for (const row of args) command.addArgument(row.declared);
  addCommonOptions(command, runsProgram);
  for (const option of rows.flatMap(({ declared }) => declared)) command.addOption(option);
  return command.action(async (...given: unknown[]) => {
    const isGiven = (name: string) => command.getOptionValueSource(name) === 'cli';
    const wrong = excludes.find((pair) => pair.every((name) => isGiven(name.slice(2))));
    if (wrong) await read(command, () => refuseBoth(wrong));
    refuse?.(isGiven);
    const values: unknown[] = [];
    for (const [index, row] of args.entries()) values.push(await read(command, () => row.read(given[index] as string)));
    values.push(await readOptions(command, rows, context));
    await run(...(values as Parameters<typeof run>));
  });
}

function refuseBoth([one, other]: readonly [string, string]): never {
  throw new CarportError('E_USAGE', `\`${one}\` and \`${other}\` exclude each other`);
}

/** The options that every command has. */
function addCommonOptions(command: Command, runsProgram: boolean): void {
  command
    .option('--json', runsProgram ? 'print errors as JSON' : 'print JSON')
    .option('-q, --quiet', 'say errors and warnings only; data is printed all the same')
    .option(
      '-v, --verbose',
      'say more; twice shows where errors come from',
      (_: string, times: number) => times + 1,
      0,
    );
}

async function readOptions(command: Command, rows: readonly Row[], context: Context): Promise<OptionsOf<Row[]>> {
  const given = command.opts();
  const { json, quiet, verbose } = given as CommonOptions;
  const own: Record<string, unknown> = {};
  for (const row of rows) {
    if (row.kind !== 'option') continue;
    const value = await read(command, () => row.read(given[row.name]));
    if (value !== undefined) own[row.name] = value;
  }
  const used = rows.filter((row) => row.kind === 'setting');
  const settings = used.length > 0 ? await settingsOf(used, command, context) : {};
  return { json, quiet, verbose, ...own, settings } as OptionsOf<Row[]>;
}

const KEYS_BY_OPTION = new Map(
  Object.entries(SETTINGS).map(([key, { option }]) => [option as string, key as SettingKey]),
);

/** The settings, which hold no secret key wherever they are from. What is wrong with an option is said at once. */
async function settingsOf(rows: readonly SettingRow[], command: Command, context: Context): Promise<Settings> {
  const [{ readSettings }, { refuseKeysInSettings }] = await Promise.all([
    import('../settings/read.js'),
    import('../settings/misplaced-keys.js'),
  ]);
  refuseTwice(rows, (name) => command.getOptionValue(name) !== undefined);
  const options: Partial<Record<SettingKey, readonly string[]>> = {};
  for (const option of rows.flatMap(({ declared }) => declared)) {
    const key = KEYS_BY_OPTION.get(option.long ?? '');
    if (key !== undefined) options[key] = command.getOptionValue(option.attributeName()) ?? [];
  }
  const settings = await readSettings(options, context);
  refuseKeysInSettings(settings);
  for (const { key } of rows) {
    const setting = settings[key];
    if (setting.origin.kind === 'option') await read(command, () => setting.value);
  }
  return Object.fromEntries(rows.map(({ key }) => [key, settings[key]])) as unknown as Settings;
}

/** Reads a value of the command line; an error without a hint gets that of a wrong usage. */
async function read<T>(command: Command, parse: () => T): Promise<Awaited<T>> {
  try {
    return await parse();
  } catch (error) {
    if (!hasCode(error, 'E_USAGE') || error.hint !== undefined) throw error;
    const hint = `\`${commandPath(command)} --help\` shows how it is used`;
    throw Object.assign(new CarportError('E_USAGE', error.message, { cause: error.cause, hint }), {
      stack: error.stack,
    });
  }
}
