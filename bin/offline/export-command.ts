/** Declares the command `export`. */

import type { Command } from 'commander';
import { checkPath } from '../arguments/checked-path.js';
import type { Context } from '../cli/context.js';
import { CLOSURE, TOOLCHAIN_ONLY_AS_BUILD } from '../closure/options.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
import { type OptionsOf, option, setting } from '../declaration/options.js';
import { FETCH_OPTIONS } from '../run/options.js';

const OPTIONS = [
  CLOSURE,
  TOOLCHAIN_ONLY_AS_BUILD,
  option('--out <file>', 'write to a file, which is there whole or not at all; prints the paths', { parse: checkPath }),
  setting('secret-key-files'),
  // For what is not here yet.
  ...FETCH_OPTIONS,
];

export type ExportCommandOptions = OptionsOf<typeof OPTIONS>;

export function configure(command: Command, context: Context): void {
  declareCommand(command, context, {
    description:
      'Writes the closure of store paths as one stream, dependencies first, for a machine without a network: `carport import` and `nix-store --import` read it. What is not here is pulled first, from the cache of `--from` or of the settings.',
    examples: [
      'carport export ./result --secret-key ./cache.sec > closure.export',
      'carport export toolchain --from https://nix.example.org --out closure.export',
      'carport export $(nix-instantiate default.nix) --closure build --out closure.export',
    ],
    arguments: [
      argument(
        '<what...>',
        'pins that were pulled, store paths, links to them, derivations; `-` reads a list from stdin',
      ),
    ],
    options: OPTIONS,
    run: async (...values) => (await import('./export.js')).run(...values, context),
  });
}
