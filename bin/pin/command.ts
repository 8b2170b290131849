/** Declares the commands of `pin`. */

import type { Command } from 'commander';
import type { Context } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { BUCKET, SOURCE } from '../declaration/buckets.js';
import { declareCommand } from '../declaration/command.js';
import { DRY_RUN, YES_AT_TERMINAL } from '../declaration/destroying.js';
import { flag, type OptionsOf, setting } from '../declaration/options.js';
import { PIN_WRITE_OPTIONS } from './options.js';

/** Loaded when it is used: help does not need it. */
const actions = () => import('./pin.js');

const SET_OPTIONS = [
  BUCKET,
  setting('secret-key-files'),
  setting('trusted-keys'),
  ...PIN_WRITE_OPTIONS,
  flag('--dry-run', 'print what the pin would stand for; change nothing'),
  flag('--page', 'write the page at the root of the cache anew, as `cache page` does'),
  setting('base-url'),
  setting('title'),
  setting('store'),
  setting('retry-seconds'),
];

const REMOVE_OPTIONS = [BUCKET, setting('secret-key-files'), YES_AT_TERMINAL, DRY_RUN, setting('retry-seconds')];

const LIST_OPTIONS = [
  ...SOURCE,
  setting('trusted-keys'),
  setting('secret-key-files'),
  flag('--history', 'print what they stood for before, too'),
  setting('retry-seconds'),
];

export type PinSetOptions = OptionsOf<typeof SET_OPTIONS>;
export type PinRemoveOptions = OptionsOf<typeof REMOVE_OPTIONS>;
export type PinListOptions = OptionsOf<typeof LIST_OPTIONS>;

export function configure(command: Command, context: Context): void {
  command.description(
    'Pins: signed names for store paths of a cache, which `pull` and `run` take. A pin keeps its paths from garbage collection.',
  );
  declareCommand(command.command('set'), context, {
    description:
      'Makes a name stand for store paths that the cache has. What it stood for before stays in its history. A key that has not signed the paths yet signs them in the cache, when another that is trusted has. `--page` renews the page that shows the pins.',
    examples: [
      'carport pin set toolchain ./result --cache file:///srv/cache --secret-key ./cache.sec',
      'carport pin set toolchain-stable toolchain@2026-11-01 --cache file:///srv/cache --secret-key ./cache.sec',
      'carport pin set toolchain ./result --page --base-url https://nix.example.org --cache file:///srv/cache --secret-key ./cache.sec',
      'carport pin set toolchain toolchain --cache file:///srv/cache --secret-key ./old.sec --secret-key ./new.sec',
    ],
    arguments: [
      argument('<name>', "the pin's name"),
      argument(
        '<what...>',
        'store paths, their base names or hash parts, links, other pins; `-` reads a list from stdin',
      ),
    ],
    options: SET_OPTIONS,
    run: async (...values) => (await actions()).set(...values, context),
  });
  declareCommand(command.command('rm'), context, {
    description: 'Removes pins, and their history. The paths stay in the cache until they are collected.',
    examples: ['carport pin rm toolchain-old --cache file:///srv/cache'],
    arguments: [argument('<name...>', 'names of pins')],
    options: REMOVE_OPTIONS,
    run: async (...values) => (await import('./remove.js')).remove(...values, context),
  });
  declareCommand(command.command('ls'), context, {
    description:
      'Prints pins: name, when it was written, whether it can be trusted and its paths are there, store paths.',
    examples: [
      'carport pin ls --cache file:///srv/cache',
      'carport pin ls toolchain --history --cache file:///srv/cache',
    ],
    arguments: [argument('[name...]', 'names of pins (default: all)')],
    options: LIST_OPTIONS,
    run: async (...values) => (await actions()).list(...values, context),
  });
}
