/** Declares the command `push`. */

import type { Command } from 'commander';
import type { Context } from '../cli/context.js';
import { CLOSURE, TOOLCHAIN_ONLY_AS_BUILD } from '../closure/options.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
import { flag, type OptionsOf, setting } from '../declaration/options.js';
import { PUSH_OPTIONS, refusePinOptions } from './options.js';

const OPTIONS = [
  ...PUSH_OPTIONS,
  flag('--print', 'print the paths of the closure also at a terminal and in CI'),
  CLOSURE,
  TOOLCHAIN_ONLY_AS_BUILD,
  setting('store'),
];

export type PushCommandOptions = OptionsOf<typeof OPTIONS>;

export function configure(command: Command, context: Context): void {
  declarePush(command, context, async (...values) => (await import('./push.js')).run(...values, context));
}

/** Declares the command with what is done when it is given. */
export function declarePush(
  command: Command,
  context: Context,
  run: (targets: readonly string[], options: PushCommandOptions) => Promise<void>,
): void {
  declareCommand(command, context, {
    description:
      'Computes the closure of store paths, signs it, and copies what is missing to a binary cache. Prints the closure, dependencies first.',
    examples: [
      'carport push ./result --to file:///srv/cache --secret-key ./cache.sec',
      'carport push $(nix-instantiate default.nix) --closure build --to file:///srv/cache',
      'carport push $(nix-instantiate default.nix) --toolchain-only --to file:///srv/cache',
      'carport push ./result --pin toolchain --to file:///srv/cache --secret-key ./cache.sec',
      'nix-store -qR ./result | carport push - --closure none --to file:///srv/cache',
    ],
    arguments: [
      argument(
        '<what...>',
        'pins that were pulled, store paths, links to them, derivations; `-` reads a list from stdin',
      ),
    ],
    options: OPTIONS,
    refuse: refusePinOptions,
    run,
  });
}
