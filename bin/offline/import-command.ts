/** Declares the command `import`. */

import type { Command } from 'commander';
import { checkPath } from '../arguments/checked-path.js';
import type { Context } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
import { type OptionsOf, option, setting } from '../declaration/options.js';
import { ALLOW_UNSIGNED } from '../pin/options.js';

const OPTIONS = [
  setting('trusted-keys'),
  ALLOW_UNSIGNED,
  option('--out-link <path>', 'make a link to the path that no other refers to, which keeps it from `store gc`', {
    parse: checkPath,
  }),
  setting('store'),
  setting('jobs'),
];

export type ImportCommandOptions = OptionsOf<typeof OPTIONS>;

export function configure(command: Command, context: Context): void {
  declareCommand(command, context, {
    description:
      "Takes the paths of an export into carport's own store, after a check of their signatures. Prints them.",
    examples: [
      'carport import closure.export --trusted-key "$(cat cache.pub)"',
      'ssh host carport export HASH-NAME | carport import --allow-unsigned --out-link ./toolchain',
    ],
    arguments: [
      argument('[file]', 'what `carport export` or `nix-store --export` wrote; `-` is stdin', { default: '-' }),
    ],
    options: OPTIONS,
    run: async (...values) => (await import('./import.js')).run(...values, context),
  });
}
