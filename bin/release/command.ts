/** Declares the commands of `release`. */

import type { Command } from 'commander';
import type { Context } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { BUCKET, BUCKET_NOT_TO, SOURCE } from '../declaration/buckets.js';
import { declareCommand } from '../declaration/command.js';
import { APPLY, PLAN_ONLY, YES_IN_PROJECT } from '../declaration/destroying.js';
import { flag, type OptionsOf, option, setting, settingWithoutOption } from '../declaration/options.js';
import { duration, integer } from '../settings/parsers.js';
import { declareForgePublish } from './forge/command.js';
import { configureSteps } from './steps/command.js';
import { declareWheels } from './wheels/command.js';

/** Loaded when they are used: help does not need them. */
const listing = () => import('./list.js');
const promoting = () => import('./promote.js');
const pruning = () => import('./prune.js');
const putting = () => import('./put.js');
const yanking = () => import('./yank.js');

const CHANNELS = ['stable', 'extra', 'development'] as const;

const SIGNING = [
  setting('secret-key-files'),
  setting('trusted-keys'),
  flag('--allow-unsigned', 'do without a key, and believe also what no trusted key has signed'),
];

/** Options of commands that write documents. */
const WRITING = [BUCKET, ...SIGNING, setting('retry-seconds')];

/** Options of commands that write over documents, or remove them. */
const LOSING = [
  ...WRITING,
  flag('--allow-lost-signatures', 'go on where a key has signed what is there that is not trusted'),
];

/** Options of commands that read releases as the index shows them. */
const READING = [
  ...SOURCE,
  setting('trusted-keys'),
  setting('secret-key-files'),
  flag('--allow-unsigned', 'believe also what no trusted key has signed'),
  setting('base-url'),
  setting('retry-seconds'),
  setting('stable-pattern'),
  settingWithoutOption('title'),
  settingWithoutOption('forge'),
  settingWithoutOption('forge-kind'),
  settingWithoutOption('required-targets'),
];

/** Where it is said what is new. */
const NOTES_FILE = option(
  '--notes-file <file>',
  'what is new, as Markdown; of a changelog, the section of the version; `-` is stdin',
);

const PUT_OPTIONS = [
  option('--target <triple>', 'the platform [TARGET]'),
  option('--tag <tag>', 'the version, before what CI says'),
  option('--commit <commit>', 'the commit, before what CI says; the version where there is no tag'),
  option('--name <name>', 'the name of the file that is published (default: its own)'),
  NOTES_FILE,
  flag('--notes-from-tag', 'what is new is the message of the annotated tag'),
  flag('--replace', 'put the files whatever is there, also the same again'),
  flag(
    '--allow-faulty-packages',
    'put wheels and sdists also where they are not what they say: no simple index has these',
  ),
  option('--content-type <type>', 'what browsers take the files for (default: by their names)'),
  option('--cache-control <text>', 'how long readers may keep them (default: `public, max-age=86400`)'),
  flag('--dry-run', 'print what would be uploaded; change nothing'),
  ...WRITING,
  setting('stable-pattern'),
];

const LIST_OPTIONS = [option('--channel <name>', 'those of one channel', { choices: CHANNELS }), ...READING];

const PROMOTE_OPTIONS = [
  // The channel: unlike elsewhere it is no cache.
  option('--to <channel>', 'what it is to be (the bucket is `--cache`)', { choices: CHANNELS, required: true }),
  option('--as <version>', 'its new version (default: a prerelease without what makes it one)'),
  BUCKET_NOT_TO,
  NOTES_FILE,
  flag('--discard', 'remove what an unfinished promotion to the same version has left'),
  flag('--dry-run', 'ask the gates; change nothing'),
  ...SIGNING,
  setting('required-targets'),
  setting('minimum-age'),
  setting('ancestor-of'),
  setting('gate-commands'),
  setting('gate-seconds'),
  setting('stable-pattern'),
  setting('retry-seconds'),
];

const TRY = flag('--dry-run', 'print what would be said; change nothing');

const YANK_OPTIONS = [option('--reason <text>', 'why, for those who use it', { required: true }), TRY, ...LOSING];
const UNYANK_OPTIONS = [TRY, ...LOSING];

const PRUNE_OPTIONS = [
  option('--channel <name>', 'which releases (default: those of `[retention]`, else "development")', {
    choices: ['extra', 'development'],
  }),
  option('--keep <number>', 'the newest so many stay', { parse: integer(0, 1_000_000) }),
  option('--keep-within <span>', 'so do those that are younger, such as `30d`', { parse: duration }),
  option('--grace <span>', 'how long they are out of the index before they are deleted (default: "7d")', {
    parse: duration,
  }),
  APPLY,
  YES_IN_PROJECT,
  flag('--delete', 'the same as `--apply`', { hidden: true }),
  PLAN_ONLY,
  ...LOSING,
  setting('stable-pattern'),
  settingWithoutOption('required-targets'),
];

export type PutOptions = OptionsOf<typeof PUT_OPTIONS>;
export type ListReleasesOptions = OptionsOf<typeof LIST_OPTIONS>;
export type ShowReleaseOptions = OptionsOf<typeof READING>;
export type PromoteOptions = OptionsOf<typeof PROMOTE_OPTIONS>;
export type YankOptions = OptionsOf<typeof YANK_OPTIONS>;
export type UnyankOptions = OptionsOf<typeof UNYANK_OPTIONS>;
export type PruneOptions = OptionsOf<typeof PRUNE_OPTIONS>;

export function configure(command: Command, context: Context): void {
  command.description('Releases: what a build made, for everybody to fetch.');
  declarePut(command, context);
  declareLists(command, context);
  declarePromote(command, context);
  declareYank(command, context);
  declarePrune(command, context);
  configureSteps(command, context);
  declareWheels(command, context);
  declareForgePublish(command, context);
}

function declarePut(command: Command, context: Context): void {
  declareCommand(command.command('put'), context, {
    description:
      'Publishes files of one target under the version that CI says. Prints their keys. `carport index publish` then tells of them.',
    examples: [
      'carport release put result/bin/garage --target x86_64-unknown-linux-musl --cache file:///srv/releases --secret-key ./release.sec',
      'DRONE_TAG=handcrafted-1.0.0 TARGET=x86_64-unknown-linux-musl carport release put result/bin/garage',
    ],
    arguments: [argument('<file...>', 'files; `*`, `**`, `?` and `{a,b}` stand for several, also between quotes')],
    options: PUT_OPTIONS,
    run: async (...values) => (await putting()).put(...values, context),
  });
}

function declareLists(command: Command, context: Context): void {
  declareCommand(command.command('ls'), context, {
    description: 'Prints releases: version, channel, when it was published, state, targets.',
    examples: [
      'carport release ls --cache file:///srv/releases',
      'carport release ls --channel stable --cache file:///srv/releases',
    ],
    options: LIST_OPTIONS,
    run: async (options) => (await listing()).list(options, context),
  });
  declareCommand(command.command('show'), context, {
    description: 'Shows what is known of a release: its files with their hashes, its commit, where it is from.',
    examples: ['carport release show v1.2.3 --cache file:///srv/releases'],
    arguments: [argument('<version>', 'a tag or a whole commit')],
    options: READING,
    run: async (...values) => (await listing()).show(...values, context),
  });
}

function declarePromote(command: Command, context: Context): void {
  declareCommand(command.command('promote'), context, {
    description:
      'Makes a release of another: the same bytes under another version, when all gates are passed. Prints the keys of its files.',
    examples: [
      'carport release promote v1.2.3-rc1 --to stable',
      'carport release promote 7fd1a60b01f91b314f59955a4e4d4e80d8edf11d --to stable --as v1.2.3 --cache file:///srv/releases',
    ],
    arguments: [argument('<version>', 'a tag or a whole commit')],
    options: PROMOTE_OPTIONS,
    run: async (...values) => (await promoting()).promote(...values, context),
  });
}

function declareYank(command: Command, context: Context): void {
  declareCommand(command.command('yank'), context, {
    description: 'Says of releases that they should not be used any more, and why. Their files stay.',
    examples: [
      "carport release yank v1.2.3 --reason 'loses data on restart' --cache file:///srv/releases --secret-key ./release.sec",
    ],
    arguments: [argument('<version...>', 'tags or whole commits')],
    options: YANK_OPTIONS,
    run: async (...values) => (await yanking()).yank(...values, context),
  });
  declareCommand(command.command('unyank'), context, {
    description: 'Takes that back.',
    examples: ['carport release unyank v1.2.3 --cache file:///srv/releases --secret-key ./release.sec'],
    arguments: [argument('<version...>', 'tags or whole commits')],
    options: UNYANK_OPTIONS,
    run: async (...values) => (await yanking()).unyank(...values, context),
  });
}

function declarePrune(command: Command, context: Context): void {
  declareCommand(command.command('prune'), context, {
    description:
      'Takes old releases out of the index, and deletes them when they have been out for a while. Prints the plan; `--apply` does it.',
    examples: [
      'carport release prune --channel development --keep 20 --keep-within 30d --cache file:///srv/releases',
      'carport release prune --channel development --keep 20 --keep-within 30d --apply',
    ],
    options: PRUNE_OPTIONS,
    run: async (options) => (await pruning()).prune({ ...options, apply: options.apply || options.delete }, context),
  });
}
