/** Declares the commands of `index`. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import { newPath } from '../arguments/checked-path.js';
import { describeCommand, settingOption } from '../cli/command.js';
import type { Context } from '../cli/context.js';
import { REMEMBERED, type RememberedKey } from '../release/remembered-settings.js';
import type { BuildIndexOptions } from './build.js';
import type { PublishIndexOptions } from './publish.js';

/** Loaded when they are used: help does not need them. */
const actions = () => import('./build.js');
const publishing = () => import('./publish.js');

export function configure(command: Command, context: Context): void {
  command.description('The index of the releases of a bucket: what people and programs find them by.');
  const build = describeCommand(
    command.command('build'),
    "Makes the index of a bucket, or of a bucket's listing, in a directory. Prints the files that were written; those that would not change are left alone.",
    'carport index build --from file:///srv/releases --out public',
    'aws s3 ls --recursive s3://BUCKET/_releases/ | carport index build --from-listing - --out public',
  )
    .option('--from-listing <file>', 'what `aws s3 ls --recursive` printed; `-` is stdin')
    .addOption(settingOption('from', '<cache>'))
    .requiredOption('--out <directory>', 'where to write it', newPath('--out'));
  addIndexOptions(build).action(async (options: BuildIndexOptions) => (await actions()).build(options, context));
  const publish = describeCommand(
    command.command('publish'),
    'Makes the index of a bucket and puts what has changed of it there. Prints the keys that were written.',
    'carport index publish --to file:///srv/releases --secret-key ./release.sec',
    "carport index publish --to 's3://releases?endpoint=https://s3.example.org&region=garage' --base-url https://releases.example.org/",
  )
    .addOption(settingOption('to', '<cache>'))
    .addOption(
      new Option(
        '--forget <setting>',
        `what was said before is not remembered any more: ${REMEMBERED.join(', ')}; repeatable`,
      ).argParser(rememberedKey),
    )
    .option('--dry-run', 'print what would be written and removed; change nothing');
  addIndexOptions(publish).action(async (options: PublishIndexOptions) =>
    (await publishing()).publish(options, context),
  );
}

function rememberedKey(value: string, before: readonly RememberedKey[] = []): readonly RememberedKey[] {
  const key = REMEMBERED.find((each) => each === value);
  if (key !== undefined) return [...before, key];
  throw new InvalidArgumentError(`It takes one of ${REMEMBERED.join(', ')}.`);
}

function addIndexOptions(command: Command): Command {
  return command
    .addOption(settingOption('secret-key-files', '<file>'))
    .addOption(settingOption('trusted-keys', '<name:base64>'))
    .option('--allow-unsigned', 'do without a key, and believe also what no trusted key has signed')
    .option(
      '--allow-lost-signatures',
      'go on where something is not signed by a trusted key, and so would not count any more',
    )
    .option('--allow-empty', 'make an index also when there is no release')
    .addOption(settingOption('base-url', '<url>'))
    .addOption(settingOption('title', '<text>'))
    .addOption(settingOption('forge', '<url>'))
    .addOption(settingOption('forge-kind', '<name>'))
    .addOption(settingOption('required-targets', '<triple>'))
    .addOption(settingOption('stable-pattern', '<regexp>'))
    .addOption(settingOption('retry-seconds', '<number>'))
    .addOption(new Option('--compat <name>', "do as another's generator does, faults and all").choices(['garage']));
}
