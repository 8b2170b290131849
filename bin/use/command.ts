/** Declares the command `use`. */

import type { Command } from 'commander';
import { parseCacheUrl } from '../cache/arguments.js';
import type { Context } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
import { flag, type OptionsOf, option, setting } from '../declaration/options.js';
import { publicKey } from '../settings/keys.js';

const OPTIONS = [
  option('--key <name:base64>', 'trust this key, which you have from the maintainer; repeatable', {
    parse: publicKey,
    repeatable: true,
  }),
  option('--fingerprint <sha256>', 'trust the published key that has this fingerprint (`SHA256:…`); repeatable', {
    repeatable: true,
  }),
  option('--check <what>', 'look at the signatures of this pin or store path; repeatable', { repeatable: true }),
  flag('--remove', 'use it no longer: take it, and the keys that came with it, out of your settings'),
  flag('--yes', 'do not ask; needed where there is no terminal, and only with `--key` or `--fingerprint`'),
  flag('--dry-run', 'show and check the keys; write nothing'),
  setting('retry-seconds'),
];

export type UseOptions = OptionsOf<typeof OPTIONS>;

export function configure(command: Command, context: Context): void {
  declareCommand(command, context, {
    description:
      'Has your settings read a cache: shows its public keys, looks whether they have signed what is in it, asks, and writes `from` and `trusted-keys` in ~/.config/carport/config.toml.',
    examples: [
      'carport use https://nix.example.org',
      'carport use https://nix.example.org --key "$(cat cache.pub)" --yes',
      'carport use https://nix.example.org --remove',
    ],
    arguments: [
      argument('<cache>', 'such as https://host, s3://bucket?endpoint=… or file:///srv/cache', {
        parse: parseCacheUrl,
      }),
    ],
    options: OPTIONS,
    excludes: [
      ['--remove', '--fingerprint'],
      ['--remove', '--check'],
    ],
    run: async (...values) => (await import('./use.js')).run(...values, context),
  });
}
