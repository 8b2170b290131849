/** Declares the commands of `store`. */

import type { Command } from 'commander';
import { newPath } from '../arguments/checked-path.js';
import { describeCommand, settingOption } from '../cli/command.js';
import type { CommonOptions, Context } from '../cli/context.js';
import type { CollectOptions } from './gc.js';
import type { AddCommandOptions, ListOptions, VerifyOptions } from './store.js';

/** Loaded when it is used: help does not need it. */
const actions = () => import('./store.js');
const collection = () => import('./gc.js');

export function configure(command: Command, context: Context): void {
  command.description("carport's own store: build outputs as store paths, without Nix.");
  declareContents(command, context);
  declareCollection(command, context);
}

function declareContents(command: Command, context: Context): void {
  describeCommand(
    command.command('add'),
    'Adds a build output as a content-addressed store path, with the references that are found in it. Prints the store path.',
    'carport store add ./build/out --name hello-1.0',
    'carport store add ./build/out --name hello-1.0 --out-link ./result',
  )
    .argument('<path>', 'a file, directory or symlink')
    .option('--name <name>', "the store path's name (default: the path's last part)")
    .option('--out-link <path>', 'make a link to it, which keeps it from `carport store gc`', newPath('--out-link'))
    .addOption(settingOption('store', '<root>'))
    .addOption(settingOption('jobs', '<number>'))
    .action(async (path: string, options: AddCommandOptions) => (await actions()).add(path, options, context));
  describeCommand(
    command.command('ls'),
    'Prints the valid paths of the store, or what keeps them.',
    'carport store ls',
    'carport store ls --roots',
  )
    .option('--roots', 'print out-links, pulled pins and running programs, and the store paths that they keep')
    .addOption(settingOption('store', '<root>'))
    .action(async (options: ListOptions) => (await actions()).list(options, context));
  describeCommand(
    command.command('info'),
    'Shows what is known of store paths.',
    'carport store info ./result',
    'carport store info /nix/store/HASH-NAME --json',
  )
    .argument('<what...>', 'store paths or links to them; `-` reads a list from stdin')
    .addOption(settingOption('store', '<root>'))
    .action(async (targets: readonly string[], options: CommonOptions) =>
      (await actions()).info(targets, options, context),
    );
  describeCommand(
    command.command('verify'),
    'Hashes store paths again and checks that their references are there.',
    'carport store verify',
    'carport store verify --repair',
  )
    .argument('[what...]', 'store paths or links to them (default: all)')
    .option(
      '--repair',
      'give up what is damaged or missing, and what refers to it, so that it can be pulled or added again',
    )
    .addOption(settingOption('store', '<root>'))
    .addOption(settingOption('jobs', '<number>'))
    .action(async (targets: readonly string[], options: VerifyOptions) =>
      (await actions()).verify(targets, options, context),
    );
}

function declareCollection(command: Command, context: Context): void {
  describeCommand(
    command.command('gc'),
    'Removes the store paths that no out-link, pulled pin or running program needs. Prints them.',
    'carport store gc --dry-run',
    'carport store gc',
  )
    .option('--dry-run', 'print what would be removed, and remove nothing')
    .addOption(settingOption('store', '<root>'))
    .action(async (options: CollectOptions) => (await collection()).collect(options, context));
  describeCommand(
    command.command('forget'),
    'Forgets pins that were pulled, so that `carport store gc` may remove what only they keep.',
    'carport store forget toolchain',
  )
    .argument('<pin...>', 'pins as they were pulled, such as `toolchain` or `toolchain@previous`')
    .addOption(settingOption('store', '<root>'))
    .action(async (pins: readonly string[], options: CommonOptions) =>
      (await collection()).forget(pins, options, context),
    );
}
