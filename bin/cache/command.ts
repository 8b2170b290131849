/** Declares the commands of `cache`. */

import type { Command } from 'commander';
import { checkPath } from '../arguments/checked-path.js';
import type { Context } from '../cli/context.js';
import { TOOLCHAIN_ONLY_OF_BUILD } from '../closure/options.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
import { flag, type OptionsOf, option, setting, toggle } from '../declaration/options.js';
import { ALLOW_UNSIGNED, PIN_READ_OPTIONS } from '../pin/options.js';
import { PUSH_OPTIONS, refusePinOptions } from '../push/options.js';
import { byteSize, duration, integer } from '../settings/parsers.js';

/** Loaded when they are used: help does not need them. */
const settings = () => import('./settings.js');
const browsing = () => import('./browse.js');
const collecting = () => import('./gc.js');
const refreshing = () => import('./refresh-toolchain.js');
const signing = () => import('./sign.js');
const copying = () => import('./copy.js');
const counting = () => import('./stats.js');

const parseCacheUrl = async (text: string) => (await import('../../cache/cache-url.js')).parseCacheUrl(text);

/** What changes the settings of a cache. */
const CHANGES = [
  option('--priority <number>', 'lower is asked first', { parse: integer(0, 1_000_000) }),
  toggle('--want-mass-query', 'let Nix ask for many paths at once', 'do not'),
  toggle('--public', 'let everybody who reaches the server read it, by website and policy of the bucket', 'do not'),
  setting('retry-seconds'),
];

const INIT_OPTIONS = [setting('secret-key-files'), ...CHANGES];

const BROWSE_OPTIONS = [setting('retry-seconds')];

const CAT_OPTIONS = [
  setting('trusted-keys'),
  flag('--allow-unsigned', 'print it even if no trusted key has signed the store path'),
  setting('retry-seconds'),
];

const REFRESH_OPTIONS = [
  option('--file <file>', 'the Nix expression that has the attributes', { default: 'default.nix' }),
  ...PUSH_OPTIONS,
  TOOLCHAIN_ONLY_OF_BUILD,
];

const SIGN_OPTIONS = [
  setting('secret-key-files'),
  setting('trusted-keys'),
  option('--remove <keyname>', 'take the signatures of the key of this name away; repeatable', { repeatable: true }),
  flag('--contents', 'read the NAR of what no trusted key has signed, and sign that, too'),
  flag('--dry-run', 'say what would be signed; change nothing'),
  setting('jobs'),
  setting('retry-seconds'),
];

const COPY_OPTIONS = [
  setting('trusted-keys'),
  ...PIN_READ_OPTIONS,
  setting('secret-key-files'),
  flag('--dry-run', 'say what would be copied; change nothing'),
  setting('store'),
  setting('jobs'),
  setting('retry-seconds'),
];

const STATS_OPTIONS = [
  flag('--prometheus', 'print metrics for a textfile collector of Prometheus'),
  option('--html <file>', 'write a page with plots, too', { parse: checkPath }),
  flag('--snapshot', 'keep the totals in the cache, one for each day: they tell how it grows'),
  setting('retry-seconds'),
];

const PAGE_OPTIONS = [
  setting('trusted-keys'),
  setting('secret-key-files'),
  setting('base-url'),
  setting('title'),
  flag('--replace', 'write it in place of a page that is not from here'),
  flag('--dry-run', 'say whether it would change; change nothing'),
  setting('retry-seconds'),
];

const EXPORT_OPTIONS = [
  option('--parquet <directory>', 'where the files are written', { parse: checkPath, required: true }),
  setting('retry-seconds'),
];

const ERASE_OPTIONS = [
  flag('--yes', 'do not ask; needed where there is no terminal'),
  flag('--dry-run', 'print what would be removed; change nothing'),
  setting('retry-seconds'),
];

const MAX_HISTORY = 1000;

const GC_OPTIONS = [
  flag('--apply', 'remove it; without this nothing is changed'),
  option('--keep-newer-than <span>', 'what was pushed within this time stays, and what it needs', {
    parse: duration,
    default: '30d',
  }),
  option('--max-size <size>', 'remove what was pushed least recently until the rest is no larger, such as `50GiB`', {
    parse: byteSize,
  }),
  option('--keep-history <number>', 'previous values of each pin that stay; all of them without it', {
    parse: integer(0, MAX_HISTORY),
  }),
  setting('trusted-keys'),
  ALLOW_UNSIGNED,
  flag('--allow-rollback', 'believe a pin that is older than one that was seen before'),
  setting('retry-seconds'),
];

export type InitOptions = OptionsOf<typeof INIT_OPTIONS>;
export type ConfigOptions = OptionsOf<typeof CHANGES>;
export type BrowseOptions = OptionsOf<typeof BROWSE_OPTIONS>;
export type CatOptions = OptionsOf<typeof CAT_OPTIONS>;
export type RefreshToolchainOptions = OptionsOf<typeof REFRESH_OPTIONS>;
export type SignOptions = OptionsOf<typeof SIGN_OPTIONS>;
export type CopyOptions = OptionsOf<typeof COPY_OPTIONS>;
export type StatsOptions = OptionsOf<typeof STATS_OPTIONS>;
export type PageOptions = OptionsOf<typeof PAGE_OPTIONS>;
export type ExportTablesOptions = OptionsOf<typeof EXPORT_OPTIONS>;
export type EraseOptions = OptionsOf<typeof ERASE_OPTIONS>;
export type GcOptions = OptionsOf<typeof GC_OPTIONS>;

export function configure(command: Command, context: Context): void {
  command.description('Binary caches: what Nix and carport push to and pull from.');
  configureSettings(command, context);
  configureBrowsing(command, context);
  configureRefreshing(command, context);
  configureMoving(command, context);
  configureCounting(command, context);
  declareCommand(command.command('sign'), context, {
    description:
      'Signs all of a cache again with a new key: every path that a trusted key has signed, its pins, and the releases beside it. Takes the signatures of an old key away with `--remove`. Run again it goes on.',
    examples: [
      'carport cache sign file:///srv/cache --secret-key new.sec --trusted-key "$(cat old.pub)"',
      'carport cache sign file:///srv/cache --secret-key new.sec --remove old-1',
    ],
    arguments: [writableCache()],
    options: SIGN_OPTIONS,
    run: async (...values) => (await signing()).signCache(...values, context),
  });
  declareCommand(command.command('gc'), context, {
    description:
      'Removes what nothing needs: neither a pin, nor a release, nor a push that is under way, nor what was pushed lately. Prints the plan; `--apply` does it. Safe while others push: see docs/garbage-collection.md.',
    examples: [
      "carport cache gc 's3://nix?endpoint=https://garage.example.org&region=garage'",
      'carport cache gc file:///srv/cache --keep-newer-than 14d --max-size 50GiB --apply',
    ],
    arguments: [writableCache()],
    options: GC_OPTIONS,
    run: async (...values) => (await collecting()).collect(...values, context),
  });
  declareCommand(command.command('erase'), context, {
    description:
      'Removes a cache: its nix-cache-info, narinfos, NARs and what carport keeps beside them. Other objects stay, and so does the bucket. Asks for the name of the bucket or directory first.',
    examples: [
      "carport cache erase 's3://nix?endpoint=https://garage.example.org&region=garage'",
      'carport cache erase file:///srv/cache --dry-run',
    ],
    arguments: [writableCache()],
    options: ERASE_OPTIONS,
    run: async (...values) => (await settings()).eraseCache(...values, context),
  });
}

function configureMoving(command: Command, context: Context): void {
  declareCommand(command.command('copy'), context, {
    description:
      'Copies closures, pins or all of a cache to another one: to move, to mirror, to back up. NARs stay as they are, and are compared with what was signed; what is there already is not sent. Run again it goes on.',
    examples: [
      'carport cache copy https://nix.example.org file:///srv/mirror --trusted-key "$(cat cache.pub)"',
      'carport cache copy file:///srv/cache file:///srv/mirror toolchain --trusted-key "$(cat cache.pub)"',
    ],
    arguments: [
      readableCache('from'),
      writableCache('to'),
      argument('[what...]', 'pins, store paths, their hash parts; all that the cache has without one'),
    ],
    options: COPY_OPTIONS,
    run: async (...values) => (await copying()).copy(...values, context),
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
    arguments: [writableCache()],
    options: STATS_OPTIONS,
    run: async (...values) => (await counting()).showStats(...values, context),
  });
  declareCommand(command.command('page'), context, {
    description:
      'Writes `index.html` at the root of a cache: how it is used, its public keys, its pins and how large they are. One that is there as it should be is not sent again.',
    examples: [
      'carport cache page file:///srv/cache --base-url https://nix.example.org --trusted-key "$(cat cache.pub)"',
    ],
    arguments: [writableCache()],
    options: PAGE_OPTIONS,
    run: async (...values) => (await import('./page.js')).writePage(...values, context),
  });
  declareCommand(command.command('export'), context, {
    description:
      'Writes what a cache holds as tables: paths, references, NARs, roots, other objects; for DuckDB, Spark, ClickHouse.',
    examples: ['carport cache export file:///srv/cache --parquet ./tables'],
    arguments: [writableCache()],
    options: EXPORT_OPTIONS,
    run: async (...values) => (await counting()).exportTables(...values, context),
  });
}

function configureSettings(command: Command, context: Context): void {
  declareCommand(command.command('init'), context, {
    description:
      'Makes a cache, and its bucket where that is not there, or changes the settings of one. Prints the lines for `nix.conf`.',
    examples: [
      'carport cache init file:///srv/cache --priority 30 --want-mass-query',
      "carport cache init 's3://nix?endpoint=https://garage.example.org&region=garage' --secret-key cache.sec",
    ],
    arguments: [writableCache()],
    options: INIT_OPTIONS,
    run: async (...values) => (await settings()).init(...values, context),
  });
  declareCommand(command.command('config'), context, {
    description: 'Shows the settings of a cache and of its bucket, and changes those that are given.',
    examples: [
      "carport cache config 's3://nix?endpoint=https://garage.example.org&region=garage'",
      'carport cache config file:///srv/cache --priority 50 --no-want-mass-query',
    ],
    arguments: [writableCache()],
    options: CHANGES,
    run: async (...values) => (await settings()).config(...values, context),
  });
}

function configureBrowsing(command: Command, context: Context): void {
  declareCommand(command.command('info'), context, {
    description: 'Shows what a cache is and how much it holds. Fails when NARs are missing.',
    examples: ['carport cache info file:///srv/cache'],
    arguments: [readableCache()],
    options: BROWSE_OPTIONS,
    run: async (...values) => (await browsing()).showInfo(...values, context),
  });
  declareCommand(command.command('ls'), context, {
    description: 'Prints the store paths in a cache, or the files of one of them.',
    examples: ['carport cache ls file:///srv/cache', 'carport cache ls file:///srv/cache /nix/store/HASH-NAME/bin'],
    arguments: [readableCache(), argument('[path]', 'a store path, or a directory in one')],
    options: BROWSE_OPTIONS,
    run: async (url, path, options) =>
      path === undefined
        ? (await browsing()).listPaths(url, options, context)
        : (await browsing()).listFiles(url, path, options, context),
  });
  declareCommand(command.command('cat'), context, {
    description: 'Prints a file of a cached store path. The signature and the whole NAR are checked.',
    examples: ['carport cache cat file:///srv/cache /nix/store/HASH-NAME/share/doc/README'],
    arguments: [readableCache(), argument('<path>', 'a file in a store path')],
    options: CAT_OPTIONS,
    run: async (...values) => (await browsing()).cat(...values, context),
  });
}

function writableCache(name = 'cache') {
  return argument(`<${name}>`, 'such as s3://bucket?endpoint=… or file:///srv/cache', { parse: parseCacheUrl });
}

function readableCache(name = 'cache') {
  const description = 'such as s3://bucket?endpoint=…, https://host or file:///srv/cache';
  return argument(`<${name}>`, description, { parse: parseCacheUrl });
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
