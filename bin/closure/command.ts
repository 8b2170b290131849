/** Declares the command `closure`. */

import type { Command } from 'commander';
import type { Context } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { PULL_FROM } from '../declaration/buckets.js';
import { declareCommand } from '../declaration/command.js';
import { flag, type OptionsOf, option, setting } from '../declaration/options.js';
import { CLOSURE, TOOLCHAIN_ONLY_AS_BUILD } from './options.js';

const OPTIONS = [
  CLOSURE,
  TOOLCHAIN_ONLY_AS_BUILD,
  flag('--build', 'the same as `--closure build`', { implies: { closure: 'build' }, hidden: true }),
  PULL_FROM,
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
      'carport closure toolchain --from file:///srv/cache',
      'carport closure $(nix-instantiate default.nix) --closure build --sizes',
    ],
    arguments: [
      argument(
        '<what...>',
        'pins that were pulled, store paths, links to them, derivations; `-` reads a list from stdin',
      ),
    ],
    options: OPTIONS,
    run: async (...values) => (await import('./closure.js')).run(...values, context),
  });
}
