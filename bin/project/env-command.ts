/** Declares the command `env`. */

import type { Command } from 'commander';
import type { Context } from '../cli/context.js';
import { declareCommand } from '../declaration/command.js';
import { type OptionsOf, option } from '../declaration/options.js';
import { RUN_OPTIONS, TARGETS } from '../run/options.js';

const SHELLS = ['bash', 'zsh', 'sh', 'fish'] as const;

const OPTIONS = [
  option('--shell <name>', 'whose language to print: bash, zsh, sh or fish; that of $SHELL when not given', {
    choices: SHELLS,
  }),
  ...RUN_OPTIONS,
];

export type EnvOptions = OptionsOf<typeof OPTIONS>;

export function configure(command: Command, context: Context): void {
  declareCommand(command, context, {
    description:
      'Prints lines for a shell that put the programs of a toolchain on its PATH, for direnv and start files. Where the store is not at `/nix/store`, these are shims that enter a namespace for each call.',
    examples: ['eval "$(carport env)"', 'carport env --shell fish | source', 'carport env gcc --json'],
    arguments: [TARGETS],
    options: OPTIONS,
    run: async (...values) => (await import('./env.js')).env(...values, context),
  });
}
