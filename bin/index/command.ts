/** Declares the commands of `index`. */

import type { Command } from 'commander';
import { checkPath } from '../arguments/checked-path.js';
import type { Context } from '../cli/context.js';
import { BUCKET, READ_BUCKET } from '../declaration/buckets.js';
import { declareCommand } from '../declaration/command.js';
import { flag, type OptionsOf, option, setting, settingWithoutOption } from '../declaration/options.js';
import { REMEMBERED } from '../release/remembered-keys.js';
import { oneOf } from '../settings/parsers.js';

/** Loaded when they are used: help does not need them. */
const building = () => import('./build.js');
const publishing = () => import('./publish.js');

const INDEX_OPTIONS = [
  setting('secret-key-files'),
  setting('trusted-keys'),
  flag('--allow-unsigned', 'do without a key, and believe also what no trusted key has signed'),
  flag(
    '--allow-lost-signatures',
    'go on where something is not signed by a trusted key, and so would not count any more',
  ),
  flag('--allow-empty', 'make an index also when there is no release'),
  setting('base-url'),
  setting('title'),
  setting('forge'),
  setting('forge-kind'),
  setting('logo'),
  setting('accent-color'),
  setting('accent-color-dark'),
  setting('index-html'),
  setting('simple-index'),
  setting('required-targets'),
  setting('stable-pattern'),
  setting('retry-seconds'),
  option('--compat <name>', "do as another's generator does, faults and all", { choices: ['garage'] }),
];

const BUILD_OPTIONS = [
  option('--from-listing <file>', 'what `aws s3 ls --recursive` printed; `-` is stdin'),
  READ_BUCKET,
  settingWithoutOption('to'),
  option('--out <directory>', 'where to write it', { parse: checkPath, required: true }),
  ...INDEX_OPTIONS,
];

const PUBLISH_OPTIONS = [
  BUCKET,
  option(
    '--forget <setting>',
    `what was said before is not remembered any more: ${REMEMBERED.join(', ')}; repeatable`,
    {
      parse: oneOf(REMEMBERED, 'setting that is remembered'),
      repeatable: true,
    },
  ),
  flag('--dry-run', 'print what would be written and removed; change nothing'),
  ...INDEX_OPTIONS,
];

export type BuildIndexOptions = OptionsOf<typeof BUILD_OPTIONS>;
export type PublishIndexOptions = OptionsOf<typeof PUBLISH_OPTIONS>;

export function configure(command: Command, context: Context): void {
  command.description('The index of the releases of a bucket: what people and programs find them by.');
  declareCommand(command.command('build'), context, {
    description:
      "Makes the index of a bucket, or of a bucket's listing, in a directory. Prints the files that were written; those that would not change are left alone.",
    examples: [
      'carport index build --cache file:///srv/releases --out public',
      'aws s3 ls --recursive s3://BUCKET/_releases/ | carport index build --from-listing - --out public',
    ],
    options: BUILD_OPTIONS,
    run: async (options) => (await building()).build(options, context),
  });
  declareCommand(command.command('publish'), context, {
    description:
      'Makes the index of a bucket and puts what has changed of it there. Prints the keys that were written.',
    examples: [
      'carport index publish --cache file:///srv/releases --secret-key ./release.sec',
      "carport index publish --cache 's3://releases?endpoint=https://s3.example.org&region=garage' --base-url https://releases.example.org/",
    ],
    options: PUBLISH_OPTIONS,
    run: async (options) => (await publishing()).publish(options, context),
  });
}
