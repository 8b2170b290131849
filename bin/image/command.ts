/** Declares the commands of `image`. */

import type { Command } from 'commander';
import { checkPath } from '../arguments/checked-path.js';
import type { Context } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
import { type OptionsOf, option } from '../declaration/options.js';
import { FETCH_OPTIONS } from '../run/options.js';
import { integer } from '../settings/parsers.js';

/** Loaded when they are used: help does not need them. */
const building = () => import('./build.js');

/** As many as `image/plan.ts` allows. */
const MOST_LAYERS = 125;

/** What an image is made of, and how it is run. */
const CONTENT_OPTIONS = [
  option('--platform <os/arch>', 'such as `linux/arm/v6` (default: the base’s, or Linux on this machine’s processor)'),
  option('--base <image>', 'the image that it is built on: a reference of a registry, or `oci:DIR:TAG`'),
  option('--entrypoint <word>', 'the program, and its first arguments, a word each, or a JSON list; repeatable', {
    repeatable: true,
  }),
  option('--cmd <word>', 'arguments that who runs it may replace, a word each, or a JSON list; repeatable', {
    repeatable: true,
  }),
  option('--env <name=value>', 'a variable of its environment; repeatable', { repeatable: true }),
  option('--user <user>', 'who runs it, such as `1000:1000`'),
  option('--workdir <dir>', 'the working directory'),
  option('--label <name=value>', 'what is told of it; repeatable', { repeatable: true }),
  option('--max-layers <number>', 'layers of the closure and the files, at most', {
    parse: integer(1, MOST_LAYERS),
    default: '100',
  }),
  option('--compression <name>', 'of layers', { choices: ['gzip', 'zstd', 'none'], default: 'gzip' }),
  option('--format <name>', 'whose documents', { choices: ['oci', 'docker'], default: 'oci' }),
  ...FETCH_OPTIONS,
];

const BUILD_OPTIONS = [
  option('--name <name>', 'the name of the image, with its tag (default of that: `latest`)', { required: true }),
  option('--out <place>', 'a directory, which gets an OCI layout or one more image, or a file that ends in `.tar`', {
    parse: checkPath,
    required: true,
  }),
  ...CONTENT_OPTIONS,
];

export type ContentOptions = OptionsOf<typeof CONTENT_OPTIONS>;
export type BuildOptions = OptionsOf<typeof BUILD_OPTIONS>;

const WHAT = argument(
  '<what...>',
  'files and directories, `FILE:/where/it/is` or else in `/`; pins, store paths and links to them with all that they need',
);

export function configure(command: Command, context: Context): void {
  declareCommand(command.command('build'), context, {
    description:
      'Builds a container image without a daemon: of files, of directories, and of closures, whose paths are in `/nix/store` and share layers with what changes when they do. The same input gives the same image on any machine.',
    examples: [
      'carport image build ./garage --name garage:v1.2.3 --cmd /garage --cmd server --platform linux/arm64 --out garage-image',
      'carport image build ./result --name app:latest --entrypoint app --out app.tar',
      'carport image build toolchain --from https://nix.example.org --name builder --cmd bash --out builder',
    ],
    arguments: [WHAT],
    options: BUILD_OPTIONS,
    run: async (...values) => (await building()).build(...values, context),
  });
}
