/** Declares the command `version`. */

import type { Command } from 'commander';
import type { Context } from '../cli/context.js';
import { declareCommand } from '../declaration/command.js';
import { flag, type OptionsOf, setting } from '../declaration/options.js';

const OPTIONS = [
  flag('--check', 'ask whether there is a newer release; sends nothing but that question'),
  setting('releases'),
  setting('release-keys'),
  setting('retry-seconds'),
];

export type VersionOptions = OptionsOf<typeof OPTIONS>;

export function configure(command: Command, context: Context): void {
  declareCommand(command, context, {
    description: 'Prints the version, and with `--check` whether there is a newer one and how to get it.',
    examples: ['carport version', 'carport version --check', 'carport version --json'],
    options: OPTIONS,
    run: async (options) => (await import('./version.js')).version(options, context),
  });
}
