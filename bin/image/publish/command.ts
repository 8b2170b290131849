/** Declares the command `image publish`. */

import type { Command } from 'commander';
import type { Context } from '../../cli/context.js';
import { argument } from '../../declaration/arguments.js';
import { declareCommand } from '../../declaration/command.js';
import { flag, type OptionsOf, option, setting } from '../../declaration/options.js';
import { FETCH_OPTIONS } from '../../run/options.js';
import { PLAIN_HTTP } from '../options.js';

const OPTIONS = [
  flag('--dry-run', 'print what would be built and which tags it would get; build and send nothing'),
  option('--tag <tag>', 'the tag that is published, whatever the environment says'),
  option('--commit <commit>', 'the commit that is published (40 or 64 digits); without `--tag` it is the version'),
  setting('stable-pattern'),
  option('--region <name>', 'publish to this one of `[registries]`, and to no others; repeatable', {
    repeatable: true,
  }),
  option('--registry <name=place>', 'another place for one of `[registries]`: `prc=127.0.0.1:5000/team`; repeatable', {
    repeatable: true,
  }),
  option(
    '--sign-key <file>',
    'sign each image by this key, as `image sign` does, and attest the commit, where that is known',
  ),
  flag('--replace', 'give the tag of a version to another image, where it is taken'),
  PLAIN_HTTP,
  ...FETCH_OPTIONS,
];

export type PublishOptions = OptionsOf<typeof OPTIONS>;

export function configurePublish(command: Command, context: Context): void {
  declareCommand(command.command('publish'), context, {
    description:
      'Builds and pushes the images that `[[image]]` of `carport.toml` names, in order: each after the one that it is built on, with its variants, for all of its platforms, to each registry, and with the tags that rules choose. What is up to date is not sent; `latest` moves last.',
    examples: [
      'carport image publish --dry-run',
      'carport image publish --tag v1.2.3',
      'carport image publish spark spark-gpu --region prc',
    ],
    arguments: [argument('[name...]', 'images of the plan, with their variants, or one variant; without any, all')],
    options: OPTIONS,
    run: async (...values) => (await import('./publish.js')).publish(...values, context),
  });
}
