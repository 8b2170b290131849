/** Declares the command `run`. */

import type { Command } from 'commander';
import { describeCommand, describeRunner, settingOption } from '../cli/command.js';
import type { Context } from '../cli/context.js';
import { addPinReadOptions } from '../pin/options.js';
import type { RunCommandOptions } from './run.js';

/** Loaded when it is used: help does not need it. */
const actions = () => import('./run.js');

export function configure(command: Command, context: Context): void {
  describeCommand(
    command,
    'Runs a command that sees the store at `/nix/store`, and ends as that does. The `bin` directories of the paths come first on its PATH. Needs no Nix and no root, but bubblewrap where the store is elsewhere.',
    'carport run toolchain -- gcc --version',
    'carport run ./result /nix/store/HASH-make -- make -j 4',
    "carport run toolchain --store ./store -- sh -c 'cc hello.c && ./a.out'",
  )
    .usage('[options] <what...> -- <command> [args...]')
    .argument('<what...>', 'pins that were pulled, store paths, their base names or hash parts, links');
  describeRunner(command);
  addTargetOptions(command);
  // Without `--` the command's own options are here, and what is wrong is that.
  if (context.operands === undefined) command.allowUnknownOption();
  command.action(async (targets: readonly string[], options: RunCommandOptions) =>
    (await actions()).run(targets, options, context),
  );
}

/** Options of what is run with. */
export function addTargetOptions(command: Command): void {
  command.addOption(settingOption('from', '<cache>')).addOption(settingOption('trusted-keys', '<name:base64>'));
  addPinReadOptions(command)
    .addOption(settingOption('jobs', '<number>'))
    .addOption(settingOption('retry-seconds', '<number>'))
    .addOption(settingOption('store', '<root>'));
}
