import type { Command } from 'commander';
import type { CatOptions, InitOptions } from '../actions/cache.js';
import { describeCommand, integerBetween, settingOption } from '../command.js';
import type { CommonOptions, Context } from '../context.js';

/** Loaded when it is used: help does not need it. */
const actions = () => import('../actions/cache.js');

export function configure(command: Command, context: Context): void {
  command.description('Binary caches: what Nix and carport push to and pull from.');
  describeCommand(
    command.command('init'),
    'Makes a cache, or changes the settings of one. Prints the lines for `nix.conf`.',
    'carport cache init file:///srv/cache --priority 30 --want-mass-query',
  )
    .argument('<cache>', 'such as file:///srv/cache')
    .option('--priority <number>', 'lower is asked first', integerBetween(0, 1_000_000))
    .option('--want-mass-query', 'let Nix ask for many paths at once')
    .addOption(settingOption('secret-key-files', '<file>'))
    .action(async (url: string, options: InitOptions) => (await actions()).init(url, options, context));
  describeCommand(
    command.command('info'),
    'Shows what a cache is and how much it holds.',
    'carport cache info file:///srv/cache',
  )
    .argument('<cache>', 'such as file:///srv/cache')
    .action(async (url: string, options: CommonOptions) => (await actions()).showInfo(url, options, context));
  describeCommand(
    command.command('ls'),
    'Prints the store paths in a cache, or the files of one of them.',
    'carport cache ls file:///srv/cache',
    'carport cache ls file:///srv/cache /nix/store/HASH-NAME/bin',
  )
    .argument('<cache>', 'such as file:///srv/cache')
    .argument('[path]', 'a store path, or a directory in one')
    .action(async (url: string, path: string | undefined, options: CommonOptions) =>
      path === undefined
        ? (await actions()).listPaths(url, options, context)
        : (await actions()).listFiles(url, path, options, context),
    );
  describeCommand(
    command.command('cat'),
    'Prints a file of a cached store path. The signature and the whole NAR are checked.',
    'carport cache cat file:///srv/cache /nix/store/HASH-NAME/share/doc/README',
  )
    .argument('<cache>', 'such as file:///srv/cache')
    .argument('<path>', 'a file in a store path')
    .addOption(settingOption('trusted-keys', '<name:base64>'))
    .option('--allow-unsigned', 'print it even if no trusted key has signed the store path')
    .action(async (url: string, path: string, options: CatOptions) =>
      (await actions()).cat(url, path, options, context),
    );
}
