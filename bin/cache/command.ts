/** Declares the commands of `cache`. */

import type { Command } from 'commander';
import { describeCommand, integerBetween, settingOption } from '../cli/command.js';
import type { CommonOptions, Context } from '../cli/context.js';
import { addPushOptions, toolchainOnly } from '../push/command.js';
import type { CatOptions } from './browse.js';
import type { RefreshToolchainOptions } from './refresh-toolchain.js';
import type { CacheCommandOptions, EraseOptions } from './settings.js';

/** Loaded when they are used: help does not need them. */
const settings = () => import('./settings.js');
const browsing = () => import('./browse.js');
const refreshing = () => import('./refresh-toolchain.js');

export function configure(command: Command, context: Context): void {
  command.description('Binary caches: what Nix and carport push to and pull from.');
  declareSettings(command, context);
  declareBrowsing(command, context);
  declareRefresh(command, context);
  declareErase(command, context);
}

function declareSettings(command: Command, context: Context): void {
  const init = describeCommand(
    command.command('init'),
    'Makes a cache, and its bucket where that is not there, or changes the settings of one. Prints the lines for `nix.conf`.',
    'carport cache init file:///srv/cache --priority 30 --want-mass-query',
    "carport cache init 's3://nix?endpoint=https://garage.example.org&region=garage' --secret-key cache.sec",
  )
    .argument('<cache>', 'such as s3://bucket?endpoint=… or file:///srv/cache')
    .addOption(settingOption('secret-key-files', '<file>'));
  settingsOptions(init).action(async (url: string, options: CacheCommandOptions) =>
    (await settings()).init(url, options, context),
  );
  const config = describeCommand(
    command.command('config'),
    'Shows the settings of a cache and of its bucket, and changes those that are given.',
    "carport cache config 's3://nix?endpoint=https://garage.example.org&region=garage'",
    'carport cache config file:///srv/cache --priority 50 --no-want-mass-query',
  ).argument('<cache>', 'such as s3://bucket?endpoint=… or file:///srv/cache');
  settingsOptions(config).action(async (url: string, options: CacheCommandOptions) =>
    (await settings()).config(url, options, context),
  );
}

function declareBrowsing(command: Command, context: Context): void {
  describeCommand(
    command.command('info'),
    'Shows what a cache is and how much it holds. Fails when NARs are missing.',
    'carport cache info file:///srv/cache',
  )
    .argument('<cache>', 'such as s3://bucket?endpoint=…, https://host or file:///srv/cache')
    .addOption(settingOption('retry-seconds', '<number>'))
    .action(async (url: string, options: CommonOptions) => (await browsing()).showInfo(url, options, context));
  describeCommand(
    command.command('ls'),
    'Prints the store paths in a cache, or the files of one of them.',
    'carport cache ls file:///srv/cache',
    'carport cache ls file:///srv/cache /nix/store/HASH-NAME/bin',
  )
    .argument('<cache>', 'such as s3://bucket?endpoint=…, https://host or file:///srv/cache')
    .argument('[path]', 'a store path, or a directory in one')
    .addOption(settingOption('retry-seconds', '<number>'))
    .action(async (url: string, path: string | undefined, options: CommonOptions) =>
      path === undefined
        ? (await browsing()).listPaths(url, options, context)
        : (await browsing()).listFiles(url, path, options, context),
    );
  describeCommand(
    command.command('cat'),
    'Prints a file of a cached store path. The signature and the whole NAR are checked.',
    'carport cache cat file:///srv/cache /nix/store/HASH-NAME/share/doc/README',
  )
    .argument('<cache>', 'such as s3://bucket?endpoint=…, https://host or file:///srv/cache')
    .argument('<path>', 'a file in a store path')
    .addOption(settingOption('trusted-keys', '<name:base64>'))
    .option('--allow-unsigned', 'print it even if no trusted key has signed the store path')
    .addOption(settingOption('retry-seconds', '<number>'))
    .action(async (url: string, path: string, options: CatOptions) =>
      (await browsing()).cat(url, path, options, context),
    );
}

function declareRefresh(command: Command, context: Context): void {
  const refresh = describeCommand(
    command.command('refresh-toolchain'),
    'Pushes what it takes to build: evaluates derivations with Nix, builds them and their inputs where they are not there, and pushes the build closure. Prints the closure, dependencies first.',
    'carport cache refresh-toolchain --file toolchain.nix --to file:///srv/cache --secret-key ./cache.sec',
    'carport cache refresh-toolchain hello release.linux --toolchain-only --to file:///srv/cache',
    "carport cache refresh-toolchain '.#default' --to file:///srv/cache",
  )
    .argument('[what...]', 'attributes of the file (all of it without one), outputs of flakes, derivations')
    .option('--file <file>', 'the Nix expression that has the attributes', 'default.nix');
  addPushOptions(refresh)
    .addOption(toolchainOnly())
    .action(async (targets: readonly string[], options: RefreshToolchainOptions) =>
      (await refreshing()).run(targets, options, context),
    );
}

function declareErase(command: Command, context: Context): void {
  describeCommand(
    command.command('erase'),
    'Removes a cache: its nix-cache-info, narinfos, NARs and what carport keeps beside them. Other objects stay, and so does the bucket. Asks for the name of the bucket or directory first.',
    "carport cache erase 's3://nix?endpoint=https://garage.example.org&region=garage'",
    'carport cache erase file:///srv/cache --dry-run',
  )
    .argument('<cache>', 'such as s3://bucket?endpoint=… or file:///srv/cache')
    .option('--yes', 'do not ask; needed where there is no terminal')
    .option('--dry-run', 'print what would be removed; change nothing')
    .addOption(settingOption('retry-seconds', '<number>'))
    .action(async (url: string, options: EraseOptions) => (await settings()).eraseCache(url, options, context));
}

function settingsOptions(command: Command): Command {
  return command
    .option('--priority <number>', 'lower is asked first', integerBetween(0, 1_000_000))
    .option('--want-mass-query', 'let Nix ask for many paths at once')
    .option('--no-want-mass-query', 'do not')
    .option('--public', 'serve the bucket as a website: everybody who reaches the server can read it')
    .option('--no-public', 'do not')
    .addOption(settingOption('retry-seconds', '<number>'));
}
