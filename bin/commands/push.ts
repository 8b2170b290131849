import { type Command, Option } from 'commander';
import type { PushCommandOptions } from '../actions/push.js';
import { describeCommand, settingOption } from '../command.js';
import type { Context } from '../context.js';

/** Loaded when it is used: help does not need it. */
const actions = () => import('../actions/push.js');

export function configure(command: Command, context: Context): void {
  describeCommand(
    command,
    'Computes the closure of store paths, signs it, and copies what is missing to a binary cache. Prints the closure, dependencies first.',
    'carport push ./result --to file:///srv/cache --secret-key ./cache.sec',
    'carport push $(nix-instantiate default.nix) --closure build --to file:///srv/cache',
    'carport push $(nix-instantiate default.nix) --toolchain-only --to file:///srv/cache',
    'nix-store -qR ./result | carport push - --closure none --to file:///srv/cache',
  )
    .argument('<what...>', 'store paths, links to them, derivations; `-` reads a list from stdin')
    .addOption(settingOption('to', '<cache>'))
    .addOption(settingOption('secret-key-files', '<file>'))
    .addOption(
      new Option('--closure <kind>', 'what to take along').choices(['runtime', 'build', 'none']).default('runtime'),
    )
    .addOption(
      new Option(
        '--toolchain-only',
        'the build closure without the outputs of what is named: what it takes to build them',
      ).implies({ closure: 'build' }),
    )
    .addOption(settingOption('compression', '<name>'))
    .addOption(settingOption('level', '<number>'))
    .addOption(settingOption('jobs', '<number>'))
    .addOption(settingOption('skip-signed-by', '<keyname>'))
    .addOption(settingOption('retry-seconds', '<number>'))
    .addOption(settingOption('store', '<root>'))
    .option('--check-all', 'ask the cache for every path and its NAR, and mend what is missing')
    .option('--no-listing', 'write no `.ls` listings')
    .option('--dry-run', 'print the plan and what would be uploaded; change nothing')
    .action(async (whats: readonly string[], options: PushCommandOptions) =>
      (await actions()).run(whats, options, context),
    );
}
