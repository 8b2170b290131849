/** Declares the command `lock`. */

import type { Command } from 'commander';
import type { Context } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { PULL_FROM } from '../declaration/buckets.js';
import { declareCommand } from '../declaration/command.js';
import { flag, type OptionsOf, setting } from '../declaration/options.js';
import { PIN_READ_OPTIONS } from '../pin/options.js';
import { TOOLCHAIN_WORDS } from './options.js';

const OPTIONS = [
  flag('--update', 'take what the pins stand for now, of the toolchains that are named or of all'),
  flag(
    '--frozen',
    'change nothing and ask no pin: fail where `carport.lock` is missing or does not match `carport.toml`',
  ),
  flag('--dry-run', 'print what would change; change nothing'),
  PULL_FROM,
  setting('trusted-keys'),
  ...PIN_READ_OPTIONS,
  setting('retry-seconds'),
];

export type LockCommandOptions = OptionsOf<typeof OPTIONS>;

export function configure(command: Command, context: Context): void {
  declareCommand(command, context, {
    description:
      "Writes `carport.lock`: which store paths the toolchains of the project's `carport.toml` are. What is locked already stays as it is, unless `--update` is given. Commit the file: then everybody has the same.",
    examples: ['carport lock', 'carport lock --update', 'carport lock --update gcc', 'carport lock --frozen'],
    usage: '[options] [name...]',
    arguments: [argument('[name...]', `${TOOLCHAIN_WORDS}; all of them where none is named`)],
    options: OPTIONS,
    excludes: [['--frozen', '--update']],
    run: async (...values) => (await import('./lock.js')).lock(...values, context),
  });
}
