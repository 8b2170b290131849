/** Declares the commands of `release` about wheels. */

import type { Command } from 'commander';
import { checkPath } from '../../arguments/checked-path.js';
import type { Context } from '../../cli/context.js';
import { argument } from '../../declaration/arguments.js';
import { declareCommand } from '../../declaration/command.js';
import { flag, type OptionsOf, option } from '../../declaration/options.js';

const RETAG_OPTIONS = [
  option('--version <version>', 'the version of the new wheels', { required: true }),
  option('--out <directory>', 'where to write them (default: beside those that are there)', { parse: checkPath }),
  flag('--allow-other-version', 'take also a version with another number, or one that is not final'),
];

export type RetagOptions = OptionsOf<typeof RETAG_OPTIONS>;

/** Adds the commands to their family. */
export function declareWheels(command: Command, context: Context): void {
  declareCommand(command.command('wheel-retag'), context, {
    description:
      'Makes the final wheel of a candidate, without a build: its version in the metadata, in names and in `RECORD` changes, and nothing else. Prints the files.',
    examples: [
      'carport release wheel-retag dist/demo-1.0rc1-py3-none-any.whl --version 1.0',
      "carport release wheel-retag 'dist/*.whl' --version 3.1.0 --out final",
    ],
    arguments: [argument('<file...>', 'wheels; `*`, `**`, `?` and `{a,b}` stand for several, also between quotes')],
    options: RETAG_OPTIONS,
    run: async (...values) => (await import('./retag.js')).retag(...values, context),
  });
}
