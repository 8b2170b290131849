/** Declares the commands of `pin`. */

import type { Command } from 'commander';
import { describeCommand, settingOption } from '../cli/command.js';
import type { Context } from '../cli/context.js';
import { addPinWriteOptions } from './options.js';
import type { PinListOptions, PinRemoveOptions, PinSetOptions } from './pin.js';

/** Loaded when it is used: help does not need it. */
const actions = () => import('./pin.js');

export function configure(command: Command, context: Context): void {
  command.description(
    'Pins: signed names for store paths of a cache, which `pull` and `run` take. A pin keeps its paths from garbage collection.',
  );
  const set = describeCommand(
    command.command('set'),
    'Makes a name stand for store paths that the cache has. What it stood for before stays in its history. A key that has not signed the paths yet signs them in the cache, when another that is trusted has.',
    'carport pin set toolchain ./result --to file:///srv/cache --secret-key ./cache.sec',
    'carport pin set toolchain-stable toolchain@2026-11-01 --to file:///srv/cache --secret-key ./cache.sec',
    'carport pin set toolchain toolchain --to file:///srv/cache --secret-key ./old.sec --secret-key ./new.sec',
  )
    .argument('<name>', "the pin's name")
    .argument(
      '<what...>',
      'store paths, their base names or hash parts, links, other pins; `-` reads a list from stdin',
    )
    .addOption(settingOption('to', '<cache>'))
    .addOption(settingOption('secret-key-files', '<file>'))
    .addOption(settingOption('trusted-keys', '<name:base64>'));
  addPinWriteOptions(set)
    .addOption(settingOption('store', '<root>'))
    .addOption(settingOption('retry-seconds', '<number>'))
    .action(async (name: string, targets: readonly string[], options: PinSetOptions) =>
      (await actions()).set(name, targets, options, context),
    );
  describeCommand(
    command.command('rm'),
    'Removes pins, and their history. The paths stay in the cache until they are collected.',
    'carport pin rm toolchain-old --to file:///srv/cache',
  )
    .argument('<name...>', 'names of pins')
    .addOption(settingOption('to', '<cache>'))
    .addOption(settingOption('retry-seconds', '<number>'))
    .action(async (names: readonly string[], options: PinRemoveOptions) =>
      (await actions()).remove(names, options, context),
    );
  describeCommand(
    command.command('ls'),
    'Prints pins: name, when it was written, whether it can be trusted and its paths are there, store paths.',
    'carport pin ls --from file:///srv/cache',
    'carport pin ls toolchain --history --from file:///srv/cache',
  )
    .argument('[name...]', 'names of pins (default: all, which a web server cannot list)')
    .addOption(settingOption('from', '<cache>'))
    .addOption(settingOption('to', '<cache>'))
    .addOption(settingOption('trusted-keys', '<name:base64>'))
    .option('--history', 'print what they stood for before, too')
    .addOption(settingOption('retry-seconds', '<number>'))
    .action(async (names: readonly string[], options: PinListOptions) =>
      (await actions()).list(names, options, context),
    );
}
