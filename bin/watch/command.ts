/** Declares the command `watch`. */

import type { Command } from 'commander';
import type { Context } from '../cli/context.js';
import { declareCommand } from '../declaration/command.js';
import { flag, type OptionsOf } from '../declaration/options.js';
import { PUSH_BESIDE_OPTIONS } from '../push/options.js';

const OPTIONS = [
  ...PUSH_BESIDE_OPTIONS,
  flag('--strict', 'fail when something is not in the cache at the end, although the command has succeeded'),
];

export type WatchOptions = OptionsOf<typeof OPTIONS>;

export function configure(command: Command, context: Context): void {
  declareCommand(command, context, {
    description:
      'Runs a command, such as a build, and pushes beside it what Nix registers meanwhile, with its runtime closure. Ends as the command does: a cache that is away neither stops it nor slows it down. What could not be pushed is told, and pushed by the next run.',
    examples: [
      'carport watch --to file:///srv/cache --secret-key ./cache.sec -- nix-build',
      'carport watch -- nix build .#default',
      'carport watch --strict -- make',
    ],
    usage: '[options] -- <command> [args...]',
    runsProgram: true,
    options: OPTIONS,
    run: async (options) => (await import('./watch.js')).run(options, context),
  });
}
