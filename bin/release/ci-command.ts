/** Declares the commands of `ci`. */

import type { Command } from 'commander';
import type { Context } from '../cli/context.js';
import { declareCommand } from '../declaration/command.js';
import { type OptionsOf, option, setting } from '../declaration/options.js';

const OPTIONS = [
  option('--tag <tag>', 'take this tag, whatever the environment says'),
  option('--commit <commit>', 'take this commit (40 or 64 digits); without `--tag` it is the version'),
  setting('stable-pattern'),
];

export type CiEnvOptions = OptionsOf<typeof OPTIONS>;

export function configure(command: Command, context: Context): void {
  command.description('What the CI system says of the build that runs in it.');
  declareCommand(command.command('env'), context, {
    description:
      'Prints which version and channel this build has, and the variable that each is from. Knows Woodpecker, Drone, Forgejo, Gitea, GitHub Actions and GitLab. Exit code 5 when there is neither a tag nor a commit.',
    examples: ['carport ci env', 'carport ci env --json', 'carport ci env --tag v1.2.3'],
    options: OPTIONS,
    run: async (options) => (await import('./ci.js')).showEnvironment(options, context),
  });
}
