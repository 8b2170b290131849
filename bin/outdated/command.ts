/** Declares the command `outdated`. */

import type { Command } from 'commander';
import type { Context } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { PULL_FROM } from '../declaration/buckets.js';
import { declareCommand } from '../declaration/command.js';
import { type OptionsOf, setting } from '../declaration/options.js';
import { PIN_READ_OPTIONS } from '../pin/options.js';

const OPTIONS = [PULL_FROM, setting('trusted-keys'), ...PIN_READ_OPTIONS, setting('store'), setting('retry-seconds')];

export type OutdatedOptions = OptionsOf<typeof OPTIONS>;

export function configure(command: Command, context: Context): void {
  declareCommand(command, context, {
    description:
      "Asks caches whether pins that were pulled here, and toolchains that the project's `carport.lock` has, stand for something newer now. Prints those that do, and exits with 1 if there are any. Fetches nothing.",
    examples: ['carport outdated', 'carport outdated toolchain --json'],
    arguments: [argument('[name...]', 'pins as they were pulled, toolchains of the project (default: all)')],
    options: OPTIONS,
    run: async (...values) => (await import('./outdated.js')).run(...values, context),
  });
}
