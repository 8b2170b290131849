/** Declares the commands of `ci`. */

import type { Command } from 'commander';
import { describeCommand, settingOption } from '../cli/command.js';
import type { Context } from '../cli/context.js';
import type { CiEnvOptions } from './ci.js';

export function configure(command: Command, context: Context): void {
  command.description('What the CI system says of the build that runs in it.');
  describeCommand(
    command.command('env'),
    'Prints which version and channel this build has, and the variable that each is from. Knows Woodpecker, Drone, Forgejo, Gitea, GitHub Actions and GitLab. Exit code 5 when there is neither a tag nor a commit.',
    'carport ci env',
    'carport ci env --json',
    'carport ci env --tag v1.2.3',
  )
    .option('--tag <tag>', 'take this tag, whatever the environment says')
    .option('--commit <commit>', 'take this commit (40 digits); without `--tag` it is the version')
    .addOption(settingOption('stable-pattern', '<regexp>'))
    .action(async (options: CiEnvOptions) => (await import('./ci.js')).showEnvironment(options, context));
}
