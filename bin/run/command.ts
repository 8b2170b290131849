/** Declares the command `run`. */

import type { Command } from 'commander';
import type { Context } from '../cli/context.js';
import { declareCommand } from '../declaration/command.js';
import { RUN_OPTIONS, TARGETS } from './options.js';

export function configure(command: Command, context: Context): void {
  declareCommand(command, context, {
    description:
      'Runs a command that sees the store at `/nix/store`, and ends as that does. The `bin` directories of the paths come first on its PATH. Needs no Nix and no root, but bubblewrap where the store is elsewhere.',
    examples: [
      'carport run toolchain -- gcc --version',
      'carport run -- make',
      'carport run ./result /nix/store/HASH-make -- make -j 4',
      "carport run toolchain --store ./store -- sh -c 'cc hello.c && ./a.out'",
    ],
    usage: '[options] [what...] -- <command> [args...]',
    runsProgram: true,
    arguments: [TARGETS],
    options: RUN_OPTIONS,
    run: async (...values) => (await import('./run.js')).run(...values, context),
  });
  // Without `--` the command's own options are here, and what is wrong is that.
  if (context.operands === undefined) command.allowUnknownOption();
}
