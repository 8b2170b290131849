/** Declares the commands of `cache`. */

import type { Command } from 'commander';
import { CarportError } from '../../lib/errors.js';
import { checkPath } from '../arguments/checked-path.js';
import type { Context } from '../cli/context.js';
import { TOOLCHAIN_ONLY_OF_BUILD } from '../closure/options.js';
import { argument } from '../declaration/arguments.js';
import { CACHE } from '../declaration/buckets.js';
import { declareCommand } from '../declaration/command.js';
import { flag, type OptionsOf, option, setting, settingWithoutOption, toggle } from '../declaration/options.js';
import { PIN_READ_OPTIONS } from '../pin/options.js';
import { PUSH_OPTIONS, refusePinOptions } from '../push/options.js';
import { integer } from '../settings/parsers.js';
import { CACHE_ARGUMENT, cacheAndPath, cacheOf, copyPlaces, INVENTORY } from './arguments.js';
import { configureLife } from './life.js';

/** Loaded when they are used: help does not need them. */
const settings = () => import('./settings.js');
const browsing = () => import('./browse.js');
const refreshing = () => import('./refresh-toolchain.js');
const copying = () => import('./copy.js');
const counting = () => import('./stats.js');

/** What changes the settings of a cache. */
const CHANGES = [
  CACHE,
  option('--priority <number>', 'lower is asked first', { parse: integer(0, 1_000_000) }),
  toggle('--want-mass-query', 'let Nix ask for many paths at once', 'do not'),
  toggle('--public', 'let everybody who reaches the server read it, by website and policy of the bucket', 'do not'),
  flag('--dry-run', 'show how it would be; change nothing'),
  setting('retry-seconds'),
];

const INIT_OPTIONS = [
  setting('secret-key-files'),
  ...CHANGES,
  flag('--page', 'write a page at its root, too, as `cache page` does'),
  setting('base-url'),
  setting('title'),
  settingWithoutOption('trusted-keys'),
];

const BROWSE_OPTIONS = [CACHE, setting('retry-seconds')];

const LS_OPTIONS = [
  ...BROWSE_OPTIONS,
  flag('--long', 'modes and sizes of files, in bytes; of store paths their sizes, and those of their NARs as stored', {
    short: '-l',
  }),
];

const CAT_OPTIONS = [
  CACHE,
  setting('trusted-keys'),
  flag('--allow-unsigned', 'print it even if no trusted key has signed the store path'),
  setting('retry-seconds'),
];

const REFRESH_OPTIONS = [
  option('--file <file>', 'the Nix expression that has the attributes', { default: 'default.nix' }),
  ...PUSH_OPTIONS,
  TOOLCHAIN_ONLY_OF_BUILD,
];

const COPY_OPTIONS = [
  setting('from'),
  setting('to'),
  setting('trusted-keys'),
  ...PIN_READ_OPTIONS,
  setting('secret-key-files'),
  flag('--dry-run', 'say what would be copied; change nothing'),
  setting('store'),
  setting('jobs'),
  setting('retry-seconds'),
];

const STATS_OPTIONS = [
  CACHE,
  flag('--prometheus', 'print metrics for a textfile collector of Prometheus'),
  option('--html <file>', 'write a page with plots, too', { parse: checkPath }),
  INVENTORY,
  flag('--snapshot', 'keep the totals in the cache, one for each day: they tell how it grows'),
  setting('retry-seconds'),
];

const PAGE_OPTIONS = [
  CACHE,
  setting('trusted-keys'),
  setting('secret-key-files'),
  setting('base-url'),
  setting('title'),
  flag('--replace', 'write it in place of a page that is not from here'),
  flag('--dry-run', 'say whether it would change; change nothing'),
  setting('retry-seconds'),
];

const EXPORT_OPTIONS = [
  CACHE,
  option('--parquet <directory>', 'where the files are written', { parse: checkPath, required: true }),
  INVENTORY,
  setting('retry-seconds'),
];

export type InitOptions = OptionsOf<typeof INIT_OPTIONS>;
export type ConfigOptions = OptionsOf<typeof CHANGES>;
export type BrowseOptions = OptionsOf<typeof BROWSE_OPTIONS>;
export type LsOptions = OptionsOf<typeof LS_OPTIONS>;
export type CatOptions = OptionsOf<typeof CAT_OPTIONS>;
export type RefreshToolchainOptions = OptionsOf<typeof REFRESH_OPTIONS>;
export type CopyOptions = OptionsOf<typeof COPY_OPTIONS>;
export type StatsOptions = OptionsOf<typeof STATS_OPTIONS>;
export type PageOptions = OptionsOf<typeof PAGE_OPTIONS>;
export type ExportTablesOptions = OptionsOf<typeof EXPORT_OPTIONS>;

export function configure(command: Command, context: Context): void {
  command.description('Binary caches: what Nix and carport push to and pull from.');
  configureSettings(command, context);
  configureBrowsing(command, context);
  configureRefreshing(command, context);
  configureMoving(command, context);
  configureCounting(command, context);
  configureLife(command, context);
}

function configureMoving(command: Command, context: Context): void {
  declareCommand(command.command('copy'), context, {
    description:
      'Copies closures, pins or all of a cache to another one: to move, to mirror, to back up. NARs stay as they are, and are compared with what was signed; what is there already is not sent. Run again it goes on.',
    examples: [
      'carport cache copy https://nix.example.org file:///srv/mirror --trusted-key "$(cat cache.pub)"',
      'carport cache copy file:///srv/cache file:///srv/mirror toolchain --trusted-key "$(cat cache.pub)"',
    ],
    usage: '[options] [from to] [what...]',
    arguments: [
      argument(
        '[what...]',
        'pins, store paths, their hash parts; all that the cache has without one. Before them the two caches, without `--from` and `--to`',
      ),
    ],
    options: COPY_OPTIONS,
    run: async (words, options) => {
      const { from, to, what } = await copyPlaces(words, options);
      await (await copying()).copy(from, to, what, options, context);
    },
  });
}

function configureCounting(command: Command, context: Context): void {
  declareCommand(command.command('stats'), context, {
    description:
      'Counts a cache: objects, bytes, compression, and to which pins and releases they are due. What it has read it remembers.',
    examples: [
      'carport cache stats file:///srv/cache',
      'carport cache stats file:///srv/cache --snapshot --prometheus > cache.prom',
      'carport cache stats file:///srv/cache --html stats.html',
    ],
    arguments: [CACHE_ARGUMENT],
    options: STATS_OPTIONS,
    run: async (word, options) => (await counting()).showStats(await cacheOf(word, options), options, context),
  });
  declareCommand(command.command('page'), context, {
    description:
      'Writes `index.html` at the root of a cache: how it is used, its public keys, its pins and how large they are. One that is there as it should be is not sent again.',
    examples: [
      'carport cache page file:///srv/cache --base-url https://nix.example.org --trusted-key "$(cat cache.pub)"',
    ],
    arguments: [CACHE_ARGUMENT],
    options: PAGE_OPTIONS,
    run: async (word, options) => (await import('./page.js')).writePage(await cacheOf(word, options), options, context),
  });
  declareCommand(command.command('export'), context, {
    description:
      'Writes what a cache holds as tables: paths, references, NARs, roots, other objects; for DuckDB, Spark, ClickHouse.',
    examples: ['carport cache export file:///srv/cache --parquet ./tables'],
    arguments: [CACHE_ARGUMENT],
    options: EXPORT_OPTIONS,
    run: async (word, options) => (await counting()).exportTables(await cacheOf(word, options), options, context),
  });
}

function configureSettings(command: Command, context: Context): void {
  declareCommand(command.command('init'), context, {
    description:
      'Makes a cache, and its bucket where that is not there, or changes the settings of one. Prints the lines for `nix.conf`; `--page` writes them for people, too.',
    examples: [
      'carport cache init file:///srv/cache --priority 30 --want-mass-query',
      "carport cache init 's3://nix?endpoint=https://garage.example.org&region=garage' --secret-key cache.sec",
      'carport cache init file:///srv/cache --secret-key cache.sec --page --base-url https://nix.example.org',
    ],
    arguments: [CACHE_ARGUMENT],
    options: INIT_OPTIONS,
    run: async (word, options) => (await settings()).init(await cacheOf(word, options), options, context),
  });
  declareCommand(command.command('config'), context, {
    description: 'Shows the settings of a cache and of its bucket, and changes those that are given.',
    examples: [
      "carport cache config 's3://nix?endpoint=https://garage.example.org&region=garage'",
      'carport cache config file:///srv/cache --priority 50 --no-want-mass-query',
    ],
    arguments: [CACHE_ARGUMENT],
    options: CHANGES,
    run: async (word, options) => (await settings()).config(await cacheOf(word, options), options, context),
  });
}

function configureBrowsing(command: Command, context: Context): void {
  declareCommand(command.command('info'), context, {
    description: 'Shows what a cache is and how much it holds. Fails when NARs are missing.',
    examples: ['carport cache info file:///srv/cache'],
    arguments: [CACHE_ARGUMENT],
    options: BROWSE_OPTIONS,
    run: async (word, options) => (await browsing()).showInfo(await cacheOf(word, options), options, context),
  });
  declareCommand(command.command('ls'), context, {
    description: 'Prints the store paths in a cache, or the files of one of them.',
    examples: [
      'carport cache ls file:///srv/cache',
      'carport cache ls file:///srv/cache -l',
      'carport cache ls file:///srv/cache /nix/store/HASH-NAME/bin -l',
    ],
    arguments: [CACHE_ARGUMENT, argument('[path]', 'a store path, or a file or directory in one')],
    options: LS_OPTIONS,
    run: async (first, second, options) => {
      const { url, path } = await cacheAndPath(first, second, options);
      return path === undefined
        ? (await browsing()).listPaths(url, options, context)
        : (await browsing()).listFiles(url, path, options, context);
    },
  });
  declareCommand(command.command('cat'), context, {
    description: 'Prints a file of a cached store path. The signature and the whole NAR are checked.',
    examples: ['carport cache cat file:///srv/cache /nix/store/HASH-NAME/share/doc/README'],
    usage: '[options] [cache] <path>',
    arguments: [CACHE_ARGUMENT, argument('[path]', 'a file in a store path')],
    options: CAT_OPTIONS,
    run: async (first, second, options) => {
      const { url, path } = await cacheAndPath(first, second, options);
      if (path === undefined) throw missingPath();
      return (await browsing()).cat(url, path, options, context);
    },
  });
}

function configureRefreshing(command: Command, context: Context): void {
  declareCommand(command.command('refresh-toolchain'), context, {
    description:
      'Pushes what it takes to build: evaluates derivations with Nix, builds them and their inputs where they are not there, and pushes the build closure. Prints the closure, dependencies first.',
    examples: [
      'carport cache refresh-toolchain --file toolchain.nix --to file:///srv/cache --secret-key ./cache.sec',
      'carport cache refresh-toolchain hello release.linux --toolchain-only --to file:///srv/cache',
      "carport cache refresh-toolchain '.#default' --to file:///srv/cache",
    ],
    arguments: [
      argument('[what...]', 'attributes of the file (all of it without one), outputs of flakes, derivations'),
    ],
    options: REFRESH_OPTIONS,
    refuse: refusePinOptions,
    run: async (...values) => (await refreshing()).run(...values, context),
  });
}

function missingPath(): CarportError {
  return new CarportError('E_USAGE', 'missing required argument `path`', {
    hint: '`carport cache cat --help` shows how it is used',
  });
}
