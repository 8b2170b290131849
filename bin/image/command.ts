/** Declares the commands of `image`. */

import type { Command } from 'commander';
import { MOST_LAYERS } from '../../image/limits.js';
import { checkPath } from '../arguments/checked-path.js';
import type { Context } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
import { type OptionsOf, option } from '../declaration/options.js';
import { FETCH_OPTIONS } from '../run/options.js';
import { integer } from '../settings/parsers.js';
import { COPY_OPTIONS, PLAIN_HTTP } from './options.js';
import { configurePrune } from './prune/command.js';
import { configurePublish } from './publish/command.js';
import { configureSigning } from './sign/command.js';

/** Loaded when they are used: help does not need them. */
const building = () => import('./build.js');
const pushing = () => import('./push.js');
const joining = () => import('./join.js');
const inspecting = () => import('./inspect.js');

/** What an image is made of, and how it is run. */
const CONTENT_OPTIONS = [
  option('--platform <os/arch>', 'such as `linux/arm/v6` (default: the base’s, or Linux on this machine’s processor)'),
  option('--base <image>', 'the image that it is built on: `ghcr.io/owner/app:v1`, or `oci:DIR:TAG`'),
  PLAIN_HTTP,
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
  option(
    '--max-layers <number>',
    'layers that the closure and the files become, at most; each file or directory is one',
    {
      parse: integer(1, MOST_LAYERS),
      default: '100',
    },
  ),
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

const INSPECT_OPTIONS = [option('--platform <os/arch>', 'that of an image of several'), ...COPY_OPTIONS];

export type PushOptions = OptionsOf<typeof CONTENT_OPTIONS>;
export type CopyOptions = OptionsOf<typeof COPY_OPTIONS>;
export type ListOptions = OptionsOf<typeof COPY_OPTIONS>;
export type InspectOptions = OptionsOf<typeof INSPECT_OPTIONS>;
export type ContentOptions = OptionsOf<typeof CONTENT_OPTIONS>;
export type BuildOptions = OptionsOf<typeof BUILD_OPTIONS>;

const WHAT = argument(
  '<what...>',
  'files and directories, `FILE:/where/it/is` or else in `/`; pins, store paths and links to them with all that they need',
);

export function configure(command: Command, context: Context): void {
  command.description('Container images without a daemon: built of files and closures, pushed, copied, joined.');
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
  configureMoving(command, context);
  configurePublish(command, context);
  configurePrune(command, context);
  configureSigning(command, context);
}

const IMAGE = argument('<image>', '`ghcr.io/owner/app:v1`, `oci:DIR:TAG` or `oci-archive:FILE`');

/** The commands that take images from one place to another, and look at them. */
function configureMoving(command: Command, context: Context): void {
  declareCommand(command.command('push'), context, {
    description:
      'Pushes an image to a registry: one that is built, or what files, directories and closures become. Only layers that the registry lacks are sent. Logins are those of `docker login` and `podman login`, or in DOCKER_AUTH_CONFIG.',
    usage: '[options] <layout|what...> <name>',
    examples: [
      'carport image push app.tar ghcr.io/owner/app:v1',
      'carport image push ./result ghcr.io/owner/app:v1 --entrypoint app',
      'carport image push oci:garage-image:v1.2.3 docker.io/owner/garage:v1.2.3',
    ],
    arguments: [argument('<what...>', 'a layout, or what `image build` takes; and last the name that it gets')],
    options: CONTENT_OPTIONS,
    run: async (...values) => (await pushing()).push(...values, context),
  });
  declareCommand(command.command('copy'), context, {
    description: 'Copies an image with all of its platforms, byte for byte. What is there already is not sent.',
    examples: [
      'carport image copy docker.io/owner/app:v1 registry.example.org/app:v1',
      'carport image copy ghcr.io/owner/app:v1 oci-archive:app.tar:v1',
    ],
    arguments: [IMAGE, argument('<to>', 'where to, in the same words')],
    options: COPY_OPTIONS,
    run: async (...values) => (await pushing()).copy(...values, context),
  });
  declareCommand(command.command('index'), context, {
    description:
      'Joins images of several platforms under one tag. Those that are elsewhere are copied to its repository.',
    examples: ['carport image index ghcr.io/owner/app:v1 ghcr.io/owner/app:v1-amd64 ghcr.io/owner/app:v1-arm64'],
    arguments: [argument('<name>', 'the name that they get together'), argument('<image...>', 'one for each platform')],
    options: COPY_OPTIONS,
    run: async (...values) => (await joining()).join(...values, context),
  });
  declareCommand(command.command('ls'), context, {
    description: 'Lists the tags of a repository, or of a layout.',
    examples: ['carport image ls ghcr.io/owner/app', 'carport image ls oci:DIR'],
    arguments: [argument('<place>', 'a repository without a tag, `oci:DIR` or `oci-archive:FILE`')],
    options: COPY_OPTIONS,
    run: async (...values) => (await inspecting()).list(...values, context),
  });
  declareCommand(command.command('inspect'), context, {
    description: 'Shows what an image is: digest, platforms, layers, and how it is run.',
    examples: ['carport image inspect ghcr.io/owner/app:v1 --json'],
    arguments: [IMAGE],
    options: INSPECT_OPTIONS,
    run: async (...values) => (await inspecting()).inspect(...values, context),
  });
}
