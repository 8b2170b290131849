/** Declares the command `import`. */

import type { Command } from 'commander';
import { newPath } from '../arguments/checked-path.js';
import { describeCommand, settingOption } from '../cli/command.js';
import type { Context } from '../cli/context.js';
import { allowUnsigned } from '../pin/options.js';
import type { ImportCommandOptions } from './import.js';

/** Loaded when it is used: help does not need it. */
const actions = () => import('./import.js');

export function configure(command: Command, context: Context): void {
  describeCommand(
    command,
    "Takes the paths of an export into carport's own store, after a check of their signatures. Prints them.",
    'carport import closure.export --trusted-key "$(cat cache.pub)"',
    'ssh host carport export HASH-NAME | carport import --allow-unsigned --out-link ./toolchain',
  )
    .argument('[file]', 'what `carport export` or `nix-store --export` wrote; `-` is stdin', '-')
    .addOption(settingOption('trusted-keys', '<name:base64>'))
    .addOption(allowUnsigned())
    .option(
      '--out-link <path>',
      'make a link to the path that no other refers to, which keeps it from `store gc`',
      newPath('--out-link'),
    )
    .addOption(settingOption('store', '<root>'))
    .addOption(settingOption('jobs', '<number>'))
    .action(async (file: string, options: ImportCommandOptions) => (await actions()).run(file, options, context));
}
