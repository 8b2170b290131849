import { type Command, Option } from 'commander';
import type { BuildIndexOptions } from '../actions/index.js';
import { describeCommand, settingOption } from '../command.js';
import type { Context } from '../context.js';

/** Loaded when it is used: help does not need it. */
const actions = () => import('../actions/index.js');

export function configure(command: Command, context: Context): void {
  command.description('The index of the releases of a bucket: what people and programs find them by.');
  describeCommand(
    command.command('build'),
    "Makes the index of a bucket's listing. Prints the files that were written; those that would not change are left alone.",
    'carport index build --from-listing aws-list.txt --out public',
    'aws s3 ls --recursive s3://BUCKET/_releases/ | carport index build --from-listing - --out public',
  )
    .requiredOption('--from-listing <file>', 'what `aws s3 ls --recursive` printed; `-` is stdin')
    .requiredOption('--out <directory>', 'where to write it')
    .option('--base-url <url>', 'where the objects of the bucket are for users')
    .addOption(settingOption('stable-pattern', '<regexp>'))
    .addOption(new Option('--compat <name>', "do as another's generator does, faults and all").choices(['garage']))
    .action(async (options: BuildIndexOptions) => (await actions()).build(options, context));
}
