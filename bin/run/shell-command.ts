/** Declares the command `shell`. */

import type { Command } from 'commander';
import { describeCommand, describeRunner } from '../cli/command.js';
import type { Context } from '../cli/context.js';
import { addTargetOptions } from './command.js';
import type { RunCommandOptions } from './run.js';

/** Loaded when it is used: help does not need it. */
const actions = () => import('./run.js');

export function configure(command: Command, context: Context): void {
  describeCommand(
    command,
    'Starts `$SHELL`, or `/bin/sh`, as `carport run` does a command: with the store at `/nix/store` and the `bin` directories of the paths first on PATH.',
    'carport shell toolchain',
    "carport shell toolchain ./result -- -c 'cc hello.c && ./a.out'",
  )
    .usage('[options] <what...> [-- <args of the shell...>]')
    .argument('<what...>', 'pins that were pulled, store paths, their base names or hash parts, links');
  describeRunner(command);
  addTargetOptions(command);
  command.action(async (targets: readonly string[], options: RunCommandOptions) =>
    (await actions()).shell(targets, options, context),
  );
}
