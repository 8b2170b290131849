/** Declares the command `export`. */

import { type Command, Option } from 'commander';
import { newPath } from '../arguments/checked-path.js';
import { describeCommand, settingOption } from '../cli/command.js';
import type { Context } from '../cli/context.js';
import type { ExportCommandOptions } from './export.js';

/** Loaded when it is used: help does not need it. */
const actions = () => import('./export.js');

export function configure(command: Command, context: Context): void {
  describeCommand(
    command,
    'Writes the closure of store paths as one stream, dependencies first, for a machine without a network: `carport import` and `nix-store --import` read it.',
    'carport export ./result --secret-key ./cache.sec > closure.export',
    'carport export $(nix-instantiate default.nix) --closure build --out closure.export',
  )
    .argument('<what...>', 'store paths, links to them, derivations; `-` reads a list from stdin')
    .addOption(
      new Option('--closure <kind>', 'what to take along').choices(['runtime', 'build', 'none']).default('runtime'),
    )
    .option('--out <file>', 'write to a file, which is there whole or not at all; prints the paths', newPath('--out'))
    .addOption(settingOption('secret-key-files', '<file>'))
    .addOption(settingOption('store', '<root>'))
    .action(async (targets: readonly string[], options: ExportCommandOptions) =>
      (await actions()).run(targets, options, context),
    );
}
