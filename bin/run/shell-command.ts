/** Declares the command `shell`. */

import type { Command } from 'commander';
import type { Context } from '../cli/context.js';
import { declareCommand } from '../declaration/command.js';
import { RUN_OPTIONS, TARGETS } from './options.js';

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
    options: RUN_OPTIONS,
    run: async (...values) => (await import('./run.js')).shell(...values, context),
  });
}
