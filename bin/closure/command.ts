/** Declares the command `closure`. */

import type { Command } from 'commander';
import { describeCommand, settingOption } from '../cli/command.js';
import type { Context } from '../cli/context.js';
import type { ClosureCommandOptions } from './closure.js';

/** Loaded when it is used: help does not need it. */
const actions = () => import('./closure.js');

export function configure(command: Command, context: Context): void {
  describeCommand(
    command,
    'Prints everything that store paths refer to, one path a line, dependencies first.',
    'carport closure ./result',
    'carport closure ./result --why /nix/store/HASH-glibc',
    'carport closure $(nix-instantiate default.nix) --build --sizes',
  )
    .argument('<what...>', 'store paths, links to them, derivations; `-` reads a list from stdin')
    .option('--build', 'take along the outputs of every derivation: what it takes to build')
    .option('--toolchain-only', 'the same without the outputs of what is named: what it takes to build them')
    .option('--from <cache>', 'look in a binary cache instead of the store', (url: string) => [url])
    .option('--tree', 'show who refers to whom')
    .option('--why <path>', 'show the shortest chain of references to a path')
    .option('--sizes', 'show for each path: its own size, the size of its closure, and what it alone adds')
    .addOption(settingOption('retry-seconds', '<number>'))
    .addOption(settingOption('store', '<root>'))
    .action(async (targets: readonly string[], options: ClosureCommandOptions) =>
      (await actions()).run(targets, options, context),
    );
}
