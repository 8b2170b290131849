/** Declares the command `shell`. */

import type { Command } from 'commander';
import type { Context } from '../cli/context.js';
import { declareCommand } from '../declaration/command.js';
import { flag, type OptionsOf } from '../declaration/options.js';
import { RUN_OPTIONS, TARGETS } from './options.js';

const OPTIONS = [
  ...RUN_OPTIONS,
  flag('--no-prompt', 'do not begin the prompt with the name of the toolchain [CARPORT_PROMPT=none]'),
];

export type ShellOptions = OptionsOf<typeof OPTIONS>;

export function configure(command: Command, context: Context): void {
  declareCommand(command, context, {
    description:
      'Starts `$SHELL`, or `/bin/sh`, as `carport run` does a command: with the store at `/nix/store` and the `bin` directories of the paths first on PATH.',
    examples: [
      'carport shell',
      'carport shell toolchain',
      "carport shell toolchain ./result -- -c 'cc hello.c && ./a.out'",
    ],
    usage: '[options] [what...] [-- <args of the shell...>]',
    runsProgram: true,
    arguments: [TARGETS],
    options: OPTIONS,
    run: async (...values) => (await import('./run.js')).shell(...values, context),
  });
}
