/** Declares the command `closure`. */

import type { Command } from 'commander';
import type { Context } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
import { flag, type OptionsOf, option, setting } from '../declaration/options.js';
import { cacheUrl } from '../settings/parsers.js';

const OPTIONS = [
  flag('--build', 'take along the outputs of every derivation: what it takes to build'),
  flag('--toolchain-only', 'the same without the outputs of what is named: what it takes to build them'),
  option('--from <cache>', 'look in a binary cache instead of the store', { parse: cacheUrl }),
  flag('--tree', 'show who refers to whom'),
  option('--why <path>', 'show the shortest chain of references to a path'),
  flag('--sizes', 'show for each path: its own size, the size of its closure, and what it alone adds'),
  setting('retry-seconds'),
  setting('store'),
];

export type ClosureCommandOptions = OptionsOf<typeof OPTIONS>;

export function configure(command: Command, context: Context): void {
  declareCommand(command, context, {
    description: 'Prints everything that store paths refer to, one path a line, dependencies first.',
    examples: [
      'carport closure ./result',
      'carport closure ./result --why /nix/store/HASH-glibc',
      'carport closure $(nix-instantiate default.nix) --build --sizes',
    ],
    arguments: [argument('<what...>', 'store paths, links to them, derivations; `-` reads a list from stdin')],
    options: OPTIONS,
    run: async (...values) => (await import('./closure.js')).run(...values, context),
  });
}
