/** Declares the command that publishes releases on forges. */

import type { Command } from 'commander';
import type { Context } from '../../cli/context.js';
import { argument } from '../../declaration/arguments.js';
import { declareCommand } from '../../declaration/command.js';
import { flag, type OptionsOf, option, setting, settingWithoutOption, toggle } from '../../declaration/options.js';
import { duration } from '../../settings/parsers.js';

/** Loaded when it is used: help does not need it. */
const publishing = () => import('./publish.js');

const FORGE_OPTIONS = [
  // The forge: unlike elsewhere it is no cache.
  option('--to <forge>', 'the forge: `github`, `gitea` or `forgejo` before the address, or an address alone', {
    required: true,
  }),
  option('--files <file>', 'these, and not what the bucket has; `*` and `**` stand for several; repeatable', {
    repeatable: true,
  }),
  setting('from', { shown: 'cache' }),
  settingWithoutOption('to'),
  option('--tag <tag>', 'the tag at the forge (default: the version)'),
  option('--commit <commit>', 'where the tag must be (default: what the bucket says of the release)'),
  flag('--create-tag', 'make the tag at the commit where the forge has none'),
  option('--title <text>', 'its title (default: that of the draft, or the tag)'),
  option(
    '--notes-file <file>',
    'what is new, as Markdown; of a changelog, the section of the version; `-` is stdin (default: what the bucket says)',
  ),
  flag('--notes-from-tag', 'what is new is the message of the annotated tag'),
  flag('--notes-from-commits', 'what is new is what `carport release notes --commits` prints'),
  option('--asset-name <pattern>', 'names of files of the bucket, such as `{stem}-{target}{ext}`'),
  flag('--checksums', 'with the SHA-256 of all files, signed for minisign where there is a secret key'),
  toggle('--prerelease', 'it is one (default: what is not stable is one)', 'it is none'),
  toggle('--latest', 'it is the latest (default: the newest stable one is; GitHub only)', 'it is not the latest'),
  flag('--draft', 'leave it a draft, with all files, for somebody to look at'),
  flag(
    '--promote',
    'make the candidate that is published a stable release: no prerelease, `candidate` in its title is `stable`',
  ),
  flag('--amend', 'send what is missing in a published release, and replace what differs'),
  flag('--keep-extra', 'publish also files that the draft has and the release has not'),
  flag('--dry-run', 'print what would be done; change nothing'),
  option('--token-file <file>', 'the token is in this file; `-` or `fd:N` reads it from there [CARPORT_FORGE_TOKEN]'),
  option('--api-url <url>', 'where the API is, if not where the forge has it usually'),
  flag('--plain-http', 'allow a forge that is written `http://…` on another machine: without TLS'),
  option('--rate-limit-wait <span>', 'how long to wait in all where the forge asks for fewer requests', {
    parse: duration,
    default: '15m',
  }),
  setting('secret-key-files'),
  setting('trusted-keys'),
  flag('--allow-unsigned', 'believe also what no trusted key has signed'),
  setting('required-targets'),
  setting('stable-pattern'),
  setting('retry-seconds'),
];

export type ForgeOptions = OptionsOf<typeof FORGE_OPTIONS>;

export function declareForgePublish(command: Command, context: Context): void {
  declareCommand(command.command('forge-publish'), context, {
    description:
      'Publishes a release on GitHub, Gitea or Forgejo: as a draft, with its files, which are read again before everybody sees them. Prints its page.',
    examples: [
      'carport release forge-publish v1.2.3 --to gitea https://git.example.org/owner/tool --cache file:///srv/releases',
      'carport release forge-publish v1.2.3 --to https://github.com/owner/tool --files dist/*.whl --notes-file CHANGELOG.md',
      'carport release forge-publish v1.2.3-rc1 --to github https://github.com/owner/tool --promote',
    ],
    arguments: [
      argument('<version>', 'a tag or a whole commit'),
      argument('[address...]', 'the repository at the forge: `https://git.example.org/owner/name`'),
    ],
    options: FORGE_OPTIONS,
    excludes: [
      ['--promote', '--draft'],
      ['--promote', '--amend'],
      ['--promote', '--create-tag'],
      ['--amend', '--draft'],
      ['--files', '--asset-name'],
      ['--notes-from-commits', '--notes-file'],
      ['--notes-from-commits', '--notes-from-tag'],
    ],
    run: async (...values) => (await publishing()).forgePublish(...values, context),
  });
}
