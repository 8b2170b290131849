/** Declares the commands of `release` about wheels. */

import type { Command } from 'commander';
import { checkPath } from '../../arguments/checked-path.js';
import type { Context } from '../../cli/context.js';
import { argument } from '../../declaration/arguments.js';
import { declareCommand } from '../../declaration/command.js';
import { flag, type OptionsOf, option, setting, settingWithoutOption } from '../../declaration/options.js';

const RETAG_OPTIONS = [
  option('--version <version>', 'the version of the new wheels', { required: true }),
  option('--out <directory>', 'where to write them (default: beside those that are there)', { parse: checkPath }),
  flag('--allow-other-version', 'take also a version with another number, or one that is not final'),
];

const UPLOAD_OPTIONS = [
  // The index: unlike elsewhere it is no cache.
  option('--to <url>', 'where the index takes files, such as `https://upload.pypi.org/legacy/`', { required: true }),
  setting('from', { shown: 'cache' }),
  settingWithoutOption('to'),
  option('--user <user>', 'who one is there (default: `__token__`, for a token) [TWINE_USERNAME]'),
  option(
    '--token-file <file>',
    'the token or password is in this file; `-` or `fd:N` reads it from there [CARPORT_UPLOAD_TOKEN]',
  ),
  option('--index-url <url>', 'its simple index, where that is not as PyPI, pypiserver, devpi and Gitea have it', {
    parse: parseAddress,
  }),
  flag('--skip-existing', 'take a file of the same name for this one where the index does not tell what it has'),
  flag('--plain-http', 'allow an index that is written `http://…` on another machine: without TLS'),
  flag('--dry-run', 'ask what the index has, and print what would be sent'),
  setting('secret-key-files'),
  setting('trusted-keys'),
  flag('--allow-unsigned', 'believe also what no trusted key has signed'),
  setting('retry-seconds'),
];

export type UploadOptions = OptionsOf<typeof UPLOAD_OPTIONS>;
export type RetagOptions = OptionsOf<typeof RETAG_OPTIONS>;

/** Adds the commands to their family. */
export function declareWheels(command: Command, context: Context): void {
  declareCommand(command.command('wheel-retag'), context, {
    description:
      'Makes the final wheel of a candidate, without a build: its version in the metadata, in names and in `RECORD` changes, and nothing else. Prints the files.',
    examples: [
      'carport release wheel-retag dist/demo-1.0rc1-py3-none-any.whl --version 1.0',
      "carport release wheel-retag 'dist/*.whl' --version 3.1.0 --out final",
    ],
    arguments: [argument('<file...>', 'wheels; `*`, `**`, `?` and `{a,b}` stand for several, also between quotes')],
    options: RETAG_OPTIONS,
    run: async (...values) => (await import('./retag.js')).retag(...values, context),
  });
  declareCommand(command.command('upload-pypi'), context, {
    description:
      'Sends the wheels and source distributions of a release to PyPI, or to another index with its upload API; those alone, checked. What is there already stays. Prints their names.',
    examples: [
      'carport release upload-pypi v1.2.3 --to https://upload.pypi.org/legacy/ --cache file:///srv/releases --token-file ./token',
      "carport release upload-pypi 'dist/*' --to http://127.0.0.1:8080/ --user dev --token-file ./password",
    ],
    arguments: [
      argument('<what...>', 'a version whose files the bucket has, or files: a path, or `*.whl`, `*.tar.gz`'),
    ],
    options: UPLOAD_OPTIONS,
    run: async (...values) => (await import('./upload.js')).upload(...values, context),
  });
}

/** Loaded when it is used. */
async function parseAddress(text: string, place: string): Promise<URL> {
  return (await import('./address.js')).indexAddress(text, place);
}
