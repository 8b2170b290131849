/** Declares the commands of `store`. */

import type { Command } from 'commander';
import { checkPath } from '../arguments/checked-path.js';
import type { Context } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
import { DRY_RUN, YES, YES_AT_TERMINAL } from '../declaration/destroying.js';
import { flag, type OptionsOf, option, setting } from '../declaration/options.js';

/** Loaded when they are used: help does not need them. */
const actions = () => import('./store.js');
const collection = () => import('./gc.js');

const ADD_OPTIONS = [
  option('--name <name>', "the store path's name (default: the path's last part)"),
  option('--out-link <path>', 'make a link to it, which keeps it from `carport store gc`', { parse: checkPath }),
  setting('store'),
  setting('jobs'),
];

const LIST_OPTIONS = [
  flag('--roots', 'print out-links, pulled pins and running programs, and the store paths that they keep'),
  setting('store'),
];

const STORE_ONLY = [setting('store')];

const VERIFY_OPTIONS = [
  flag(
    '--repair',
    'give up what is damaged or missing, and what refers to it, so that it can be pulled or added again',
  ),
  setting('store'),
  setting('jobs'),
];

const COLLECT_OPTIONS = [YES_AT_TERMINAL, DRY_RUN, setting('store')];

const FORGET_OPTIONS = [DRY_RUN, setting('store')];

const DELETE_OPTIONS = [flag('--all', 'all of it, with out-links and pulled pins'), YES, DRY_RUN, setting('store')];

export type AddOptions = OptionsOf<typeof ADD_OPTIONS>;
export type ListOptions = OptionsOf<typeof LIST_OPTIONS>;
export type StoreOptions = OptionsOf<typeof STORE_ONLY>;
export type VerifyOptions = OptionsOf<typeof VERIFY_OPTIONS>;
export type DeleteOptions = OptionsOf<typeof DELETE_OPTIONS>;
export type CollectOptions = OptionsOf<typeof COLLECT_OPTIONS>;
export type ForgetOptions = OptionsOf<typeof FORGET_OPTIONS>;

export function configure(command: Command, context: Context): void {
  command.description("carport's own store: build outputs as store paths, without Nix.");
  declareCommand(command.command('add'), context, {
    description:
      'Adds a build output as a content-addressed store path, with the references that are found in it. Prints the store path.',
    examples: [
      'carport store add ./build/out --name hello-1.0',
      'carport store add ./build/out --name hello-1.0 --out-link ./result',
    ],
    arguments: [argument('<path>', 'a file, directory or symlink')],
    options: ADD_OPTIONS,
    run: async (...values) => (await actions()).add(...values, context),
  });
  declareCommand(command.command('ls'), context, {
    description: 'Prints the valid paths of the store, or what keeps them.',
    examples: ['carport store ls', 'carport store ls --roots'],
    options: LIST_OPTIONS,
    run: async (...values) => (await actions()).list(...values, context),
  });
  declareCommand(command.command('info'), context, {
    description: 'Shows what is known of store paths.',
    examples: ['carport store info ./result', 'carport store info /nix/store/HASH-NAME --json'],
    arguments: [
      argument('<what...>', 'pins that were pulled, store paths or links to them; `-` reads a list from stdin'),
    ],
    options: STORE_ONLY,
    run: async (...values) => (await actions()).info(...values, context),
  });
  declareCommand(command.command('verify'), context, {
    description: 'Hashes store paths again and checks that their references are there.',
    examples: ['carport store verify', 'carport store verify --repair'],
    arguments: [argument('[what...]', 'pins that were pulled, store paths or links to them (default: all)')],
    options: VERIFY_OPTIONS,
    run: async (...values) => (await actions()).verify(...values, context),
  });
  configureCollection(command, context);
}

function configureCollection(command: Command, context: Context): void {
  declareCommand(command.command('gc'), context, {
    description: 'Removes the store paths that no out-link, pulled pin or running program needs. Prints them.',
    examples: ['carport store gc --dry-run', 'carport store gc'],
    options: COLLECT_OPTIONS,
    run: async (...values) => (await collection()).collect(...values, context),
  });
  declareCommand(command.command('delete'), context, {
    description:
      'Removes store paths that nothing needs, or with `--all` everything, with out-links and pulled pins. Refuses while it is in use. Prints the paths.',
    examples: ['carport store delete --all --dry-run', 'carport store delete /nix/store/HASH-NAME --yes'],
    arguments: [
      argument('[what...]', 'pins that were pulled, store paths or links to them; `-` reads a list from stdin'),
    ],
    options: DELETE_OPTIONS,
    run: async (...values) => (await import('./delete.js')).run(...values, context),
  });
  declareCommand(command.command('forget'), context, {
    description: 'Forgets pins that were pulled, so that `carport store gc` may remove what only they keep.',
    examples: ['carport store forget toolchain'],
    arguments: [argument('<pin...>', 'pins as they were pulled, such as `toolchain` or `toolchain@previous`')],
    options: FORGET_OPTIONS,
    run: async (...values) => (await collection()).forget(...values, context),
  });
}
