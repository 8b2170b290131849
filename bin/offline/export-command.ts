/** Declares the command `export`. */

import type { Command } from 'commander';
import { checkPath } from '../arguments/checked-path.js';
import type { Context } from '../cli/context.js';
import { CLOSURE } from '../closure/options.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
import { type OptionsOf, option, setting } from '../declaration/options.js';

const OPTIONS = [
  CLOSURE,
  option('--out <file>', 'write to a file, which is there whole or not at all; prints the paths', { parse: checkPath }),
  setting('secret-key-files'),
  setting('store'),
];

export type ExportCommandOptions = OptionsOf<typeof OPTIONS>;

export function configure(command: Command, context: Context): void {
  declareCommand(command, context, {
    description:
      'Writes the closure of store paths as one stream, dependencies first, for a machine without a network: `carport import` and `nix-store --import` read it.',
    examples: [
      'carport export ./result --secret-key ./cache.sec > closure.export',
      'carport export $(nix-instantiate default.nix) --closure build --out closure.export',
    ],
    arguments: [argument('<what...>', 'store paths, links to them, derivations; `-` reads a list from stdin')],
    options: OPTIONS,
    run: async (...values) => (await import('./export.js')).run(...values, context),
  });
}
