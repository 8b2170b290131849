/** Declares the command `image prune`. */

import type { Command } from 'commander';
import type { Context } from '../../cli/context.js';
import { argument } from '../../declaration/arguments.js';
import { READ_BUCKET } from '../../declaration/buckets.js';
import { declareCommand } from '../../declaration/command.js';
import { DRY_RUN, YES } from '../../declaration/destroying.js';
import { type OptionsOf, option, setting } from '../../declaration/options.js';
import { duration, integer } from '../../settings/parsers.js';
import { COPY_OPTIONS } from '../options.js';

const OPTIONS = [
  option('--keep <number>', 'the newest so many images stay, of each `--match`', { parse: integer(0, 1_000_000) }),
  option('--keep-within <span>', 'so do those that are younger, such as `30d`', { parse: duration }),
  option('--match <pattern>', 'look at these tags only, such as `nightly-*`; repeatable', { repeatable: true }),
  option('--keep-tag <pattern>', 'these tags stay whatever their age, such as `v*`; repeatable', { repeatable: true }),
  DRY_RUN,
  YES,
  READ_BUCKET,
  setting('trusted-keys'),
  setting('stable-pattern'),
  ...COPY_OPTIONS,
];

export type ImagePruneOptions = OptionsOf<typeof OPTIONS>;

export function configurePrune(command: Command, context: Context): void {
  declareCommand(command.command('prune'), context, {
    description:
      'Removes old images of repositories from their registry, by rules of the command line or of `[retention.images]` in `carport.toml`. What stays: `latest`, stable versions, versions of releases in the bucket, and what an index, or a signature, of what stays refers to.',
    examples: [
      'carport image prune ghcr.io/owner/app --keep 20 --keep-within 30d --dry-run',
      'carport image prune ghcr.io/owner/app --match "nightly-*" --keep 7 --yes',
      'carport image prune --yes',
    ],
    arguments: [argument('[repository...]', 'without a tag; without any, those of `[[image]]` in `carport.toml`')],
    options: OPTIONS,
    run: async (...values) => (await import('./prune.js')).prune(...values, context),
  });
}
