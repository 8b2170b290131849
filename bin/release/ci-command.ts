/** Declares the commands of `ci`. */

import type { Command } from 'commander';
import type { Context } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
import { flag, type OptionsOf, option, setting } from '../declaration/options.js';

const OPTIONS = [
  option('--tag <tag>', 'take this tag, whatever the environment says'),
  option('--commit <commit>', 'take this commit (40 or 64 digits); without `--tag` it is the version'),
  setting('stable-pattern'),
];

const SIGN_OPTIONS = [
  flag('--write', 'write the signature into the file; all else stays as it is'),
  flag('--verify', 'see whether the signature of the file is right; exit code 6 where it is not'),
  flag('--dry-run', 'with `--write`: say whether it would change; change nothing'),
  option(
    '--secret-file <file>',
    'the secret of the repository; `-` or `fd:N` reads it from there [CARPORT_DRONE_SECRET]',
  ),
  option('--server <url>', 'the server that signs where no secret is known [DRONE_SERVER]'),
  option('--token-file <file>', 'your token there; `-` or `fd:N` reads it from there [DRONE_TOKEN]'),
  option('--repository <owner/name>', 'the repository there [DRONE_REPO]'),
  flag('--plain-http', 'allow a server that is written `http://…` on another machine: without TLS'),
  setting('retry-seconds'),
];

export type CiSignOptions = OptionsOf<typeof SIGN_OPTIONS>;
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
  declareCommand(command.command('sign'), context, {
    description:
      "Signs Drone's YAML, as `drone sign` does: by the server, or by the secret of the repository. Prints the signature; `--write` puts it into the file.",
    examples: [
      'DRONE_SERVER=https://drone.example.org DRONE_TOKEN=… carport ci sign --repository acme/tool --write',
      'carport ci sign --verify --secret-file drone.secret',
    ],
    arguments: [argument('[file]', 'the file (default: `.drone.yml`); `-` is stdin')],
    options: SIGN_OPTIONS,
    run: async (...values) => (await import('./steps/ci-sign.js')).ciSign(...values, context),
  });
}
