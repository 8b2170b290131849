/** Declares the command `push`. */

import { type Command, Option } from 'commander';
import { CarportError } from '../../lib/errors.js';
import { describeCommand, settingOption } from '../cli/command.js';
import type { Context } from '../cli/context.js';
import { addPinWriteOptions, type PinWriteOptions } from '../pin/options.js';
import type { PushCommandOptions } from './push.js';

/** Loaded when it is used: help does not need it. */
const actions = () => import('./push.js');

export function configure(command: Command, context: Context): void {
  describeCommand(
    command,
    'Computes the closure of store paths, signs it, and copies what is missing to a binary cache. Prints the closure, dependencies first.',
    'carport push ./result --to file:///srv/cache --secret-key ./cache.sec',
    'carport push $(nix-instantiate default.nix) --closure build --to file:///srv/cache',
    'carport push $(nix-instantiate default.nix) --toolchain-only --to file:///srv/cache',
    'carport push ./result --pin toolchain --to file:///srv/cache --secret-key ./cache.sec',
    'nix-store -qR ./result | carport push - --closure none --to file:///srv/cache',
  ).argument('<what...>', 'store paths, links to them, derivations; `-` reads a list from stdin');
  addPushOptions(command)
    .addOption(
      new Option('--closure <kind>', 'what to take along').choices(['runtime', 'build', 'none']).default('runtime'),
    )
    .addOption(toolchainOnly().implies({ closure: 'build' }))
    .addOption(settingOption('store', '<root>'))
    .action(async (targets: readonly string[], options: PushCommandOptions) =>
      (await actions()).run(targets, options, context),
    );
}

/** Options of commands that push. */
export function addPushOptions(command: Command): Command {
  command
    .addOption(settingOption('to', '<cache>'))
    .addOption(settingOption('secret-key-files', '<file>'))
    .option(
      '--pin <name>',
      'then make a name stand for what was pushed, which `pull` and `run` take; repeatable',
      collect,
    );
  return addPinWriteOptions(command)
    .hook('preAction', () => checkPinOptions(command))
    .addOption(settingOption('compression', '<name>'))
    .addOption(settingOption('level', '<number>'))
    .addOption(settingOption('jobs', '<number>'))
    .addOption(settingOption('skip-signed-by', '<keyname>'))
    .addOption(settingOption('retry-seconds', '<number>'))
    .option('--check-all', 'ask the cache for every path and its NAR, and mend what is missing')
    .option('--no-listing', 'write no `.ls` listings')
    .option('--dry-run', 'print the plan and what would be uploaded; change nothing');
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

const PIN_OPTIONS: readonly string[] = [
  'expires',
  'keepHistory',
  'discardHistory',
  'allowRollback',
] satisfies (keyof PinWriteOptions)[];

/** Options of a pin would do nothing without one. */
function checkPinOptions(command: Command): void {
  if (command.getOptionValue('pin') !== undefined) return;
  const given = command.options.find((option) => {
    const name = option.attributeName();
    return PIN_OPTIONS.includes(name) && command.getOptionValueSource(name) === 'cli';
  });
  if (given === undefined) return;
  throw new CarportError('E_USAGE', `\`${given.long}\` is for a pin, and none is to be set`, {
    hint: 'name the pin, `--pin NAME`, or leave it out',
  });
}

/** The option that leaves out of a build closure what is built in the end. */
export function toolchainOnly(): Option {
  return new Option(
    '--toolchain-only',
    'the build closure without the outputs of what is named: what it takes to build them',
  );
}
