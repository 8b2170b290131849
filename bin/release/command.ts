/** Declares the commands of `release`. */

import { type Command, Option } from 'commander';
import { describeCommand, integerBetween, settingOption } from '../cli/command.js';
import type { Context } from '../cli/context.js';
import type { ListReleasesOptions, ShowReleaseOptions } from './list.js';
import type { PromoteOptions } from './promote.js';
import type { PruneOptions } from './prune.js';
import type { PutOptions } from './put.js';
import type { UnyankOptions, YankOptions } from './yank.js';

/** Loaded when they are used: help does not need them. */
const listing = () => import('./list.js');
const promoting = () => import('./promote.js');
const pruning = () => import('./prune.js');
const putting = () => import('./put.js');
const yanking = () => import('./yank.js');

const CHANNELS = ['stable', 'extra', 'development'];

export function configure(command: Command, context: Context): void {
  command.description('Releases: what a build made, for everybody to fetch.');
  configurePut(command, context);
  configureLists(command, context);
  configurePromote(command, context);
  configureYank(command, context);
  configurePrune(command, context);
}

function configurePut(command: Command, context: Context): void {
  const put = describeCommand(
    command.command('put'),
    'Publishes files of one target under the version that CI says. Prints their keys. `carport index publish` then tells of them.',
    'carport release put result/bin/garage --target x86_64-unknown-linux-musl --to file:///srv/releases --secret-key ./release.sec',
    'DRONE_TAG=handcrafted-1.0.0 TARGET=x86_64-unknown-linux-musl carport release put result/bin/garage',
  )
    .argument('<file...>', 'files; `*`, `**`, `?` and `{a,b}` stand for several, also between quotes')
    .option('--target <triple>', 'the platform [TARGET]')
    .option('--tag <name>', 'the version, before what CI says')
    .option('--commit <sha>', 'the commit, before what CI says; the version where there is no tag')
    .option('--name <name>', 'the name of the file that is published (default: its own)')
    .option('--replace', 'put the files whatever is there, also the same again')
    .option('--content-type <type>', 'what browsers take the files for (default: by their names)')
    .option('--cache-control <text>', 'how long readers may keep them (default: `public, max-age=86400`)')
    .option('--dry-run', 'print what would be uploaded; change nothing');
  addWriting(put)
    .addOption(settingOption('stable-pattern', '<regexp>'))
    .action(async (files: readonly string[], options: PutOptions) => (await putting()).put(files, options, context));
}

function configureLists(command: Command, context: Context): void {
  const list = describeCommand(
    command.command('ls'),
    'Prints releases: version, channel, when it was published, state, targets.',
    'carport release ls --from file:///srv/releases',
    'carport release ls --channel stable --from file:///srv/releases',
  ).addOption(new Option('--channel <name>', 'those of one channel').choices(CHANNELS));
  addReading(list)
    .addOption(settingOption('stable-pattern', '<regexp>'))
    .action(async (options: ListReleasesOptions) => (await listing()).list(options, context));
  const show = describeCommand(
    command.command('show'),
    'Shows what is known of a release: its files with their hashes, its commit, where it is from.',
    'carport release show v1.2.3 --from file:///srv/releases',
  ).argument('<version>', 'a tag or a whole commit');
  addReading(show)
    .addOption(settingOption('stable-pattern', '<regexp>'))
    .action(async (version: string, options: ShowReleaseOptions) => (await listing()).show(version, options, context));
}

function configurePromote(command: Command, context: Context): void {
  const promote = describeCommand(
    command.command('promote'),
    'Makes a release of another: the same bytes under another version, when all gates are passed. Prints the keys of its files.',
    'carport release promote v1.2.3-rc1 --to stable',
    'carport release promote 7fd1a60b01f91b314f59955a4e4d4e80d8edf11d --to stable --as v1.2.3 --cache file:///srv/releases',
  )
    .argument('<version>', 'a tag or a whole commit')
    .addOption(
      new Option('--to <channel>', 'what it is to be (the bucket is `--cache`)')
        .choices(CHANNELS)
        .makeOptionMandatory(),
    )
    .option('--as <version>', 'its new version (default: a prerelease without what makes it one)')
    .option('--cache <cache>', 'the bucket that has the releases [CARPORT_TO]')
    .option('--discard', 'remove what an unfinished promotion to the same version has left')
    .option('--dry-run', 'ask the gates; change nothing');
  addSigning(promote)
    .addOption(settingOption('required-targets', '<triple>'))
    .addOption(settingOption('minimum-age', '<span>'))
    .addOption(settingOption('ancestor-of', '<branch>'))
    .addOption(settingOption('gate-commands', '<command>'))
    .addOption(settingOption('gate-seconds', '<number>'))
    .addOption(settingOption('stable-pattern', '<regexp>'))
    .addOption(settingOption('retry-seconds', '<number>'))
    .action(async (version: string, options: PromoteOptions) => (await promoting()).promote(version, options, context));
}

function configureYank(command: Command, context: Context): void {
  const yank = describeCommand(
    command.command('yank'),
    'Says of releases that they should not be used any more, and why. Their files stay.',
    "carport release yank v1.2.3 --reason 'loses data on restart' --to file:///srv/releases --secret-key ./release.sec",
  )
    .argument('<version...>', 'tags or whole commits')
    .requiredOption('--reason <text>', 'why, for those who use it');
  addLosing(addWriting(yank)).action(async (versions: readonly string[], options: YankOptions) =>
    (await yanking()).yank(versions, options, context),
  );
  const unyank = describeCommand(
    command.command('unyank'),
    'Takes that back.',
    'carport release unyank v1.2.3 --to file:///srv/releases --secret-key ./release.sec',
  ).argument('<version...>', 'tags or whole commits');
  addLosing(addWriting(unyank)).action(async (versions: readonly string[], options: UnyankOptions) =>
    (await yanking()).unyank(versions, options, context),
  );
}

function configurePrune(command: Command, context: Context): void {
  const prune = describeCommand(
    command.command('prune'),
    'Takes old releases out of the index, and deletes them when they have been out for a while. Prints what it would do.',
    'carport release prune --channel development --keep 20 --keep-within 30d --to file:///srv/releases',
    'carport release prune --channel development --keep 20 --keep-within 30d --delete',
  )
    .addOption(new Option('--channel <name>', 'which releases').choices(CHANNELS.slice(1)).default('development'))
    .option('--keep <number>', 'the newest so many stay', integerBetween(0, 1_000_000))
    .option('--keep-within <span>', 'so do those that are younger, such as `30d`')
    .option('--grace <span>', 'how long they are out of the index before they are deleted', '7d')
    .option('--delete', 'do it');
  addLosing(addWriting(prune))
    .addOption(settingOption('stable-pattern', '<regexp>'))
    .action(async (options: PruneOptions) => (await pruning()).prune(options, context));
}

/** Options of commands that read releases. */
function addReading(command: Command): Command {
  return command
    .addOption(settingOption('from', '<cache>'))
    .addOption(settingOption('to', '<cache>'))
    .addOption(settingOption('trusted-keys', '<name:base64>'))
    .addOption(settingOption('secret-key-files', '<file>'))
    .option('--allow-unsigned', 'believe also what no trusted key has signed')
    .addOption(settingOption('base-url', '<url>'))
    .addOption(settingOption('retry-seconds', '<number>'));
}

/** Options of commands that write documents. */
function addWriting(command: Command): Command {
  return addSigning(command.addOption(settingOption('to', '<cache>'))).addOption(
    settingOption('retry-seconds', '<number>'),
  );
}

/** An option of commands that write over documents, or remove them. */
function addLosing(command: Command): Command {
  return command.option('--allow-lost-signatures', 'go on where a key has signed what is there that is not trusted');
}

function addSigning(command: Command): Command {
  return command
    .addOption(settingOption('secret-key-files', '<file>'))
    .addOption(settingOption('trusted-keys', '<name:base64>'))
    .option('--allow-unsigned', 'do without a key, and believe also what no trusted key has signed');
}
