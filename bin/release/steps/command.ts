/** Declares the commands of `release` around a release: what a maintainer does before it, and a user after it. */

import type { Command } from 'commander';
import type { Context } from '../../cli/context.js';
import { argument } from '../../declaration/arguments.js';
import { SOURCE } from '../../declaration/buckets.js';
import { declareCommand } from '../../declaration/command.js';
import { YES } from '../../declaration/destroying.js';
import { flag, type OptionsOf, option, setting, settingWithoutOption } from '../../declaration/options.js';

/** As `release/steps/version-parts.ts` has them: help does not load it. */
const PARTS = ['major', 'minor', 'patch', 'last'] as const;

const DOWNLOAD_OPTIONS = [
  option('--target <triple>', 'files of this platform; repeatable; of one alone they lie without a directory for it', {
    repeatable: true,
  }),
  option('--name <name>', 'files of this name, in which `*` stands for any characters; repeatable', {
    repeatable: true,
  }),
  option('--out <directory>', 'where they go (default: the working directory); `-` prints one file'),
  flag('--dry-run', 'print what would be fetched; change nothing'),
  ...SOURCE,
  setting('trusted-keys'),
  setting('secret-key-files'),
  flag('--allow-unsigned', 'believe also what no trusted key has signed'),
  setting('retry-seconds'),
  setting('stable-pattern'),
  settingWithoutOption('required-targets'),
];

const NOTES_OPTIONS = [
  option('--notes-file <file>', 'the text; of a changelog, the section of the version; `-` is stdin'),
  flag('--commits', 'of commits, though there is a changelog'),
  option('--since <tag>', 'of commits behind this tag (default: the release before)'),
  setting('forge'),
  setting('forge-kind'),
  setting('stable-pattern'),
];

const BUMP_OPTIONS = [
  option('--part <part>', 'what is incremented (default: `part` of `[bump]`, else "patch")', { choices: PARTS }),
  option('--to <version>', 'the next version itself'),
  flag('--dry-run', 'show what would change; change nothing'),
  YES,
];

const MARK_OPTIONS = [
  flag('--push', 'push it, and nothing else'),
  option('--remote <name>', 'the remote that is asked and pushed to (default: that of the branch, else `origin`)'),
  flag('--allow-untracked', 'go on though there are files that git does not know'),
  flag('--dry-run', 'check everything; change nothing'),
];

const TAG_OPTIONS = [
  ...MARK_OPTIONS,
  flag('--sign', 'sign it with your key, as git is set up'),
  option('--message <text>', 'what the tag says (default: its name)'),
];

export type BumpOptions = OptionsOf<typeof BUMP_OPTIONS>;
export type TagOptions = OptionsOf<typeof TAG_OPTIONS>;
export type BranchOptions = OptionsOf<typeof MARK_OPTIONS>;
export type DownloadOptions = OptionsOf<typeof DOWNLOAD_OPTIONS>;
export type NotesCommandOptions = OptionsOf<typeof NOTES_OPTIONS>;

export function configureSteps(command: Command, context: Context): void {
  declareBump(command, context);
  declareMarks(command, context);
  declareNotes(command, context);
  declareDownload(command, context);
}

function declareDownload(command: Command, context: Context): void {
  declareCommand(command.command('download'), context, {
    description:
      'Fetches the files of a release, each of which must be what was signed. What is here already is not fetched, and what a run that was killed has left is gone on with. Prints where they are.',
    examples: [
      'carport release download v1.2.0 --target x86_64-unknown-linux-musl --cache https://releases.example.org/',
      "carport release download stable --name 'tool-*.tar.gz' --out toolchain --cache https://releases.example.org/",
    ],
    arguments: [
      argument(
        '<version>',
        'a version, or a channel for the newest of it: `stable`, `extra`, `development`, `cli@stable`',
      ),
    ],
    options: DOWNLOAD_OPTIONS,
    run: async (...values) => (await import('./download.js')).download(...values, context),
  });
}

function declareBump(command: Command, context: Context): void {
  declareCommand(command.command('bump'), context, {
    description:
      'Writes the next version into the files that `[bump]` in carport.toml names: shows the difference, and asks. All of them change, or none.',
    examples: [
      'carport release bump',
      'carport release bump --part minor --dry-run',
      'carport release bump --to 2.0.0-rc1 --yes',
    ],
    options: BUMP_OPTIONS,
    run: async (options) => (await import('./bump.js')).bump(options, context),
  });
}

function declareMarks(command: Command, context: Context): void {
  const version = argument('[version]', 'the version (default: that of the files that `[bump]` names)');
  declareCommand(command.command('tag'), context, {
    description:
      'Tags the commit at HEAD, when the tree is clean, has this version, and neither this clone nor the remote has the tag at another commit. What is done already is fine.',
    examples: ['carport release tag v1.2.0 --push', 'carport release tag --sign --dry-run'],
    arguments: [version],
    options: TAG_OPTIONS,
    run: async (...values) => (await import('./tag.js')).tag(...values, context),
  });
  declareCommand(command.command('branch'), context, {
    description:
      'Makes the branch of a release at HEAD, after the same checks as `release tag`. It is not checked out.',
    examples: ['carport release branch 1.2.0 --push'],
    arguments: [version],
    options: MARK_OPTIONS,
    run: async (...values) => (await import('./tag.js')).branch(...values, context),
  });
}

function declareNotes(command: Command, context: Context): void {
  declareCommand(command.command('notes'), context, {
    description:
      'Prints what is new in a version, as Markdown: its section of the changelog of the checkout, else the commits since the release before it.',
    examples: [
      'carport release notes v1.2.0',
      'carport release notes --commits --forge https://git.example.org/acme/tool > notes.md',
    ],
    arguments: [
      argument('[version]', 'a tag, also one that is not made yet (default: that of CI, else what is at HEAD)'),
    ],
    options: NOTES_OPTIONS,
    run: async (...values) => (await import('./notes.js')).notes(...values, context),
  });
}
