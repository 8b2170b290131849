import type { Command } from 'commander';
import type { AddCommandOptions } from '../actions/store.js';
import { describeCommand, settingOption } from '../command.js';
import type { CommonOptions, Context } from '../context.js';

/** Loaded when it is used: help does not need it. */
const actions = () => import('../actions/store.js');

export function configure(command: Command, context: Context): void {
  command.description("carport's own store: build outputs as store paths, without Nix.");
  describeCommand(
    command.command('add'),
    'Adds a build output as a content-addressed store path, with the references that are found in it. Prints the store path.',
    'carport store add ./build/out --name hello-1.0',
  )
    .argument('<path>', 'a file, directory or symlink')
    .option('--name <name>', "the store path's name (default: the path's last part)")
    .addOption(settingOption('store', '<root>'))
    .addOption(settingOption('jobs', '<number>'))
    .action(async (path: string, options: AddCommandOptions) => (await actions()).add(path, options, context));
  describeCommand(command.command('ls'), 'Prints the valid paths of the store.', 'carport store ls')
    .addOption(settingOption('store', '<root>'))
    .action(async (options: CommonOptions) => (await actions()).list(options, context));
  describeCommand(
    command.command('info'),
    'Shows what is known of store paths.',
    'carport store info ./result',
    'carport store info /nix/store/HASH-NAME --json',
  )
    .argument('<what...>', 'store paths or links to them; `-` reads a list from stdin')
    .addOption(settingOption('store', '<root>'))
    .action(async (whats: readonly string[], options: CommonOptions) =>
      (await actions()).info(whats, options, context),
    );
  describeCommand(
    command.command('verify'),
    'Hashes store paths again and checks that their references are there.',
    'carport store verify',
  )
    .argument('[what...]', 'store paths or links to them (default: all)')
    .addOption(settingOption('store', '<root>'))
    .addOption(settingOption('jobs', '<number>'))
    .action(async (whats: readonly string[], options: CommonOptions) =>
      (await actions()).verify(whats, options, context),
    );
}
